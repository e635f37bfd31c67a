"""`POST /v1alpha1/comments:analyze`: what clients of Perspective called until its end, with this model's scores."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from fastapi import APIRouter, Request

from worker.serving.answers import Answer
from worker.serving.api import caller_of, trace_headers
from worker.serving.door import Door
from worker.serving.perspective_discovery import discovery_document
from worker.serving.perspective_request import Analyze, AnalyzeError, empty, read_request, too_long, unsupported
from worker.serving.replies import JsonReply, google_error
from worker.serving.waiting import unless_gone

# Attribute to the task and the class whose probability it is.
ATTRIBUTES = {
    "OFFENSIVENESS": ("offensiveness", "offensive"),
    "SARCASM": ("sarcasm", "sarcastic"),
    "SENTIMENT_NEGATIVE": ("sentiment", "negative"),
}
TOXICITY = "TOXICITY"


def known_attributes(tasks: Sequence[str], *, toxicity: bool) -> dict[str, tuple[str, str]]:
    """Return the attributes that are scored.

    Args:
        tasks: that are answered.
        toxicity: whether offensiveness goes by this name, too.
    """
    found = {name: of for name, of in ATTRIBUTES.items() if of[0] in tasks}
    if toxicity and "OFFENSIVENESS" in found:
        found[TOXICITY] = found["OFFENSIVENESS"]
    return found


def routes(door: Door) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    known = known_attributes(tuple(door.settings.kafka.routes), toxicity=door.settings.serve.toxicity)

    @router.post(
        "/v1alpha1/comments:analyze",
        summary="Score a comment, as Perspective did",
        response_model=dict[str, Any],
        responses={400: {"description": "refused in Perspective's words", "model": dict[str, Any]}},
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _REQUEST}}}},
    )
    async def analyze(request: Request) -> JsonReply:
        """Answer in Perspective's shapes; docs/how-to/from-perspective.md says what maps and what does not."""
        try:
            asked = read_request(await request.body(), known)
            labeller = door.open_labeller
            languages = frozenset(door.model.get("languages", ()))
            _check_languages(asked, asked.languages, languages, detected=False)
            posts = [_post(asked, asked.text), *(_post(asked, asked.text[begin:end]) for begin, end in asked.spans)]
            caller_of(request).took(len(posts))
            work = labeller.label(posts, headers=trace_headers(request), keep=asked.keep, decided=False)
            return JsonReply(_answer(asked, await unless_gone(request, work), known, languages))
        except AnalyzeError as error:
            return JsonReply(google_error(400, str(error), error.details), 400)

    @router.post("/v1alpha1/comments:suggestscore", include_in_schema=False)
    async def suggest() -> JsonReply:
        return JsonReply(google_error(501, "Scores are not suggested here: nothing is learned from requests."), 501)

    @router.get("/$discovery/rest", include_in_schema=False)
    @router.get("/discovery/v1/apis/commentanalyzer/v1alpha1/rest", include_in_schema=False)
    async def discovery(request: Request) -> JsonReply:
        root = door.settings.serve.public_url or str(request.base_url)
        return JsonReply(discovery_document(root.rstrip("/") + "/", known))

    del analyze, suggest, discovery
    return router


def _post(asked: Analyze, text: str) -> bytes:
    """Return a comment as a post; its id is nobody's, and changes no score."""
    community = {} if asked.community is None else {"community": asked.community}
    return json.dumps({"id": "comment", "text": text, **community}).encode()


def _check_languages(asked: Analyze, given: Sequence[str], supported: frozenset[str], *, detected: bool) -> bool:
    """Return whether the model was made for the languages.

    Raises:
        AnalyzeError: it was not, and the request wants to be told.
    """
    foreign = tuple(one for one in given if supported and one not in supported)
    if foreign and not asked.drop_unsupported:
        raise unsupported(next(iter(asked.attributes)), foreign, detected=detected)
    return not foreign


def _answer(
    asked: Analyze,
    answers: Sequence[Answer],
    known: Mapping[str, tuple[str, str]],
    supported: frozenset[str],
) -> dict[str, Any]:
    whole = answers[0]
    if whole.refusal is not None:
        raise too_long() if whole.refusal.reason == "too_long" else empty()
    labels = [{task: msgspec.json.decode(value) for task, value in answer.labels.items()} for answer in answers]
    language = (next(iter(labels[0].values())).get("reading") or {}).get("language")
    detected = [] if language is None else [language]
    languages = list(asked.languages) or detected
    fits = _check_languages(asked, languages, supported, detected=not asked.languages)
    scores: dict[str, Any] = {}
    for name, threshold in asked.attributes.items() if fits else ():
        task, positive = known[name]
        # Of a sentence in which nothing can be read there is none.
        values = [one[task]["probabilities"][positive] if one else -1.0 for one in labels]
        spans = zip(asked.spans, values[1:], strict=True) if asked.spans else [((0, len(asked.text)), values[0])]
        least = 0.0 if threshold is None else threshold
        if values[0] >= least:
            scores[name] = {
                "spanScores": [
                    {"begin": begin, "end": end, "score": _score(value)}
                    for (begin, end), value in spans
                    if value >= max(0.0, least)
                ],
                "summaryScore": _score(values[0]),
            }
    said: dict[str, Any] = {}
    if scores:
        said["attributeScores"] = scores
    if languages:
        said["languages"] = languages
    if detected:
        said["detectedLanguages"] = detected
    if asked.client_token is not None:
        said["clientToken"] = asked.client_token
    return said


def _score(value: float) -> dict[str, Any]:
    return {"value": value, "type": "PROBABILITY"}


_REQUEST = {
    "type": "object",
    "required": ["comment", "requestedAttributes"],
    "properties": {
        "comment": {
            "type": "object",
            "properties": {"text": {"type": "string"}, "type": {"type": "string", "enum": ["PLAIN_TEXT", "HTML"]}},
        },
        "requestedAttributes": {"type": "object", "additionalProperties": {"type": "object"}},
        "languages": {"type": "array", "items": {"type": "string"}},
        "spanAnnotations": {"type": "boolean"},
        "doNotStore": {"type": "boolean"},
        "dropUnsupportedAttributes": {"type": "boolean"},
        "clientToken": {"type": "string"},
        "communityId": {"type": "string"},
    },
}
