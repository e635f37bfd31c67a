"""The page put together from the settings, before the labeller."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from starlette.requests import Request

from mmorient import PostReader
from worker.broker.clients import KafkaLinks
from worker.errors import InvalidRecordError
from worker.serving.answers import Answer
from worker.serving.door import Door
from worker.serving.errors import GoneError, LoadingError, ServingError
from worker.serving.page import outside
from worker.serving.page.routes import Page
from worker.serving.page.stream.hub import Hub
from worker.serving.page.stream.originals import Originals
from worker.serving.page.stream.reader import LabelReader
from worker.serving.page.try_it import Limits
from worker.serving.page.verdicts import VerdictWriter
from worker.serving.waiting import unless_gone

_SOON_SECONDS = 1.0


class PageLabeller:
    """The labeller as the page knows it.

    Args:
        door: has the labeller once the model is loaded.
    """

    def __init__(self, door: Door) -> None:
        self._door = door

    async def label(self, posts: Sequence[bytes], request: Request) -> Sequence[outside.Answer]:
        """Return an answer for each post.

        Raises:
            outside.BusyError: there is no room, no time, or no model yet.
        """
        with _busy():
            # A person who types makes a post of every few letters: they are neither kept nor counted as decided.
            answers = await unless_gone(request, self._door.open_labeller.label(posts, keep=False, counted=False))
        return [_answer(one) for one in answers]

    async def explain(self, post: bytes, request: Request) -> Mapping[str, Any] | outside.Refused:
        """Return the object of `mmorient explain --json`.

        Raises:
            outside.BusyError: there is no room, no time, or no model yet.
        """
        try:
            with _busy():
                return await unless_gone(request, self._door.open_labeller.explain(post))
        except InvalidRecordError as error:
            return outside.Refused(error.stage, error.reason, str(error))


@contextmanager
def _busy() -> Iterator[None]:
    """Say of whatever the labeller refuses when to ask again."""
    try:
        yield
    except GoneError:
        raise
    except LoadingError as error:
        raise outside.BusyError(error.retry_after_seconds or _SOON_SECONDS, "The model is being loaded.") from error
    except ServingError as error:
        raise outside.BusyError(error.retry_after_seconds or _SOON_SECONDS) from error


def open_page(door: Door, *, docs: str) -> Page | None:
    """Return the page; None where the settings want none. Its `close` is called before the server stops.

    Args:
        door: what it shares with the API.
        docs: address of the pages about the API.
    """
    settings = door.settings
    wanted, kafka = settings.page, settings.kafka
    if not wanted.enabled:
        return None
    hub = originals = verdicts = None
    if wanted.stream and kafka.bootstrap_servers:
        links = KafkaLinks(kafka.bootstrap_servers, kafka)
        reader = LabelReader(links, list(kafka.routes.values()))
        hub = Hub(reader, kafka.routes, a_turn=wanted.posts_per_second, max_viewers=wanted.max_viewers)
        originals = Originals(links, kafka.posts_topic, PostReader(kafka.text_format, kafka.post_fields))
        if wanted.verdict_users:
            verdicts = VerdictWriter(links, wanted.verdicts_topic, wanted.verdict_users)
    return Page(
        PageLabeller(door),
        model=lambda: door.model,
        limits=Limits(
            # In a post it is base64, and there is more in a form.
            picture_bytes=min(settings.media.max_bytes, settings.serve.max_body_bytes // 2),
            text_chars=settings.batch.max_text_chars,
        ),
        docs=docs,
        user_header=wanted.user_header,
        keys_are_asked=door.keys.are_asked,
        hub=hub,
        originals=originals,
        verdicts=verdicts,
    )


def _answer(answer: Answer) -> outside.Answer:
    if answer.refusal is not None:
        refusal = answer.refusal
        return outside.Refused(refusal.stage, refusal.reason, refusal.message)
    if answer.passed_over is not None:
        return outside.Refused("decode", answer.passed_over, "This is not a post.")
    labels = {task: msgspec.json.decode(value) for task, value in answer.labels.items()}
    decisions = None if answer.decisions is None else [one.fields() for one in answer.decisions]
    return outside.Labelled(labels, decisions)
