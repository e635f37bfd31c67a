"""The routes of our own: `POST /v1/label`, `POST /v1/explain`, `GET /v1/model`."""

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request

from schemas import Post
from worker.errors import InvalidRecordError
from worker.items import Headers
from worker.output.records import CARRIED_HEADERS
from worker.serving.door import Door
from worker.serving.errors import RequestError
from worker.serving.keys import Caller
from worker.serving.replies import JsonReply
from worker.serving.shapes import ModelAnswer, PostAnswer, Refusal
from worker.serving.waiting import unless_gone

_POSTS: msgspec.json.Decoder[list[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw])
_CARRIED = frozenset(name.encode() for name in CARRIED_HEADERS)
_MOST_NEIGHBOURS = _MOST_WORDS = 20
_POST = Post.model_json_schema(ref_template="#/components/schemas/{model}")
# FastAPI is told of bodies that it does not read itself: a post's bytes go through the stages as they came.
POST_SCHEMAS = {**_POST.pop("$defs", {}), "Post": _POST}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": text}
    for status, text in (
        (400, "what was sent is not JSON"),
        (401, "no API key, or one that nobody has"),
        (413, "too large, or too many posts"),
        (429, "too much waits, or the key asks too often: `retry-after` says when to come back"),
        (503, "the model is not loaded yet, or the process ends"),
        (504, "it took longer than the deadline"),
    )
}


def _body(*schemas: dict[str, Any]) -> dict[str, Any]:
    schema = schemas[0] if len(schemas) == 1 else {"oneOf": list(schemas)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


_ONE = {"$ref": "#/components/schemas/Post"}
_MANY = {"type": "array", "items": _ONE}


def routes(door: Door) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1")

    @router.post(
        "/label",
        summary="Label a post, or a list of posts",
        response_model=PostAnswer | list[PostAnswer],
        responses={
            **_REFUSALS,
            422: {"model": PostAnswer, "description": "a single post that cannot be labelled: `error` says why"},
        },
        openapi_extra=_body(_ONE, _MANY),
    )
    async def label(request: Request) -> JsonReply:
        """Answer with the labels of the topics, digit by digit; a label's `source`, a place in Kafka, is left out.

        Of a list each post has an answer of its own, in the list's order: one that cannot be labelled costs the others
        nothing.
        """
        return await answer_label(door, request)

    @router.post(
        "/explain",
        summary="Say why a post has its labels",
        response_model=dict[str, Any],
        responses={**_REFUSALS, 422: {"model": PostAnswer, "description": "the post cannot be labelled"}},
        openapi_extra=_body(_ONE),
    )
    async def explain(
        request: Request,
        neighbours: Annotated[
            int, Query(ge=0, le=_MOST_NEIGHBOURS, description="reference posts to name, by each modality")
        ] = 5,
        words: Annotated[
            int, Query(ge=0, le=_MOST_WORDS, description="most attended words to take away, each alone")
        ] = 5,
    ) -> JsonReply:
        """Answer what `mmorient explain --json` says, schema `explanation/1`. It costs as much as many posts."""
        post = await request.body()
        if not post.strip():
            raise RequestError("the body is empty", reason="empty")
        labeller = door.open_labeller
        caller_of(request).took(1)
        work = labeller.explain(post, neighbours=neighbours, words=words, headers=trace_headers(request))
        try:
            return JsonReply(await unless_gone(request, work))
        except InvalidRecordError as error:
            said = {"stage": error.stage, "reason": error.reason, "message": str(error)}
            return JsonReply({"post_id": None, "error": said}, HTTPStatus.UNPROCESSABLE_ENTITY)

    @router.get("/model", summary="Tell of the model", response_model=ModelAnswer, responses={503: _REFUSALS[503]})
    async def model() -> JsonReply:
        """Answer which model labels, what it answers and by which thresholds."""
        _ = door.open_labeller
        return JsonReply(door.model)

    del label, explain, model
    return router


async def answer_label(door: Door, request: Request) -> JsonReply:
    """Answer `POST /v1/label`.

    Raises:
        ServingError: it is refused.
    """
    posts, many = split_posts(await request.body(), door.settings.serve.max_request_posts)
    labeller = door.open_labeller
    caller_of(request).took(len(posts))
    answers = await unless_gone(request, labeller.label(posts, headers=trace_headers(request)))
    if many:
        return JsonReply(b"[" + b",".join(answer.as_json() for answer in answers) + b"]")
    status = HTTPStatus.OK if answers[0].refusal is None else HTTPStatus.UNPROCESSABLE_ENTITY
    return JsonReply(answers[0].as_json(), status)


def split_posts(body: bytes, most: int) -> tuple[list[bytes], bool]:
    """Return the posts of a body, each as it came, and whether they are a list.

    Args:
        body: a post, or a list of posts.
        most: posts.

    Raises:
        RequestError: it is empty, a list that is no JSON, or has too many posts.
    """
    content = body.strip()
    if not content:
        raise RequestError("the body is empty", reason="empty")
    if not content.startswith(b"["):
        return [content], False
    try:
        posts = _POSTS.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError("the list is not JSON", reason="no_json") from error
    if len(posts) > most:
        raise RequestError(f"{len(posts)} posts in one request, at most {most}", status=413, reason="too_many_posts")
    return [bytes(post) for post in posts], True


def caller_of(request: Request) -> Caller:
    """Return who asks."""
    caller = request.scope["state"]["caller"]
    assert isinstance(caller, Caller)  # noqa: S101 - the gate lets nobody else pass
    return caller


def trace_headers(request: Request) -> Headers:
    """Return what a request brings of a trace."""
    return [(name.decode("latin-1"), value) for name, value in request.scope["headers"] if name in _CARRIED]
