"""What people say of labels, onto a topic of its own."""

import asyncio
from collections.abc import Callable, Collection
from datetime import UTC, datetime

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from mmorient import TASKS
from schemas import Source, Verdict
from worker.broker.clients import KafkaLinks
from worker.broker.positions import Position
from worker.broker.topics import partition_counts, replication_factor
from worker.errors import FatalError
from worker.serving.page.posted import FormError, read_fields
from worker.serving.page.rendering import Renderer
from worker.serving.page.stream.hub import Hub
from worker.serving.page.stream.joining import LabelledPost
from worker.serving.page.visitors import who
from worker.telemetry.page_metrics import VERDICTS

log = structlog.get_logger(__name__)

_SECONDS = 5.0


class VerdictError(Exception):
    """A verdict that was not written; the message is for whoever gave it."""


class VerdictWriter:
    """Writes verdicts.

    Args:
        links: to the broker.
        topic: of verdicts.
        users: who may give one.
        now: current time.
    """

    def __init__(
        self,
        links: KafkaLinks,
        topic: str,
        users: Collection[str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._links = links
        self._topic = topic
        self._users = frozenset(users)
        self._now = now
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    def may(self, name: str | None) -> bool:
        """Whether somebody may give a verdict."""
        return name is not None and name in self._users

    async def write(self, post: LabelledPost, task: str, says: str, by: str) -> Verdict:
        """Write a verdict, and return it once the broker has it.

        Args:
            post: whose label is judged, as it stands on the topics.
            task: which of them.
            says: the label that the person gives.
            by: who says so.

        Raises:
            VerdictError: the post has no such label, the task knows none like it, or the broker does not take it.
        """
        answer = post.answers.get(task)
        if answer is None or task not in TASKS or says not in TASKS[task].classes:
            raise VerdictError("This post has no such label.")
        label = str(answer["label"])
        try:
            verdict = self._verdict(post, task, label, says, by)
        except ValidationError as error:
            raise VerdictError("This label is not one of ours.") from error
        try:
            async with asyncio.timeout(_SECONDS):
                producer = await self._started()
                key = str(post.position).encode()
                await producer.send_and_wait(self._topic, verdict.model_dump_json().encode(), key=key)
        except (KafkaError, FatalError, OSError, TimeoutError) as error:
            log.warning("verdict_not_written", error=type(error).__name__)
            raise VerdictError("The broker did not take it. Try again.") from error
        VERDICTS.labels(task, verdict.verdict).inc()
        return verdict

    def _verdict(self, post: LabelledPost, task: str, label: str, says: str, by: str) -> Verdict:
        at = post.position
        return Verdict(
            post_id=post.post_id,
            task=task,
            label=label,
            probability=post.answers[task]["probabilities"][label],
            verdict="agree" if says == label else "disagree",
            says=says,
            by=by,
            at=self._now(),
            post=Source(topic=at.topic, partition=at.partition, offset=at.offset),
            checkpoint=post.checkpoint,
        )

    async def close(self) -> None:
        """Let the broker go."""
        async with self._starting:
            producer, self._producer = self._producer, None
            if producer is not None:
                await producer.stop()

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                await self._make_topic()
                producer = self._links.plain_producer()
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def _make_topic(self) -> None:
        async with self._links.connected_admin() as admin:
            if await partition_counts(admin, [self._topic]):
                return
            replicas = await replication_factor(admin, self._links.settings.posts_topic)
            # What people say is asked for long after the posts are gone.
            topic = NewTopic(self._topic, 1, replicas, topic_configs={"retention.ms": "-1"})
            response = await admin.create_topics([topic])
        for _, code, *message in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise error(message[0] if message else self._topic)


class Verdicts:
    """Answers the route of verdicts.

    Args:
        writer: writes them.
        hub: knows what was shown.
        renderer: of the templates.
    """

    def __init__(self, writer: VerdictWriter, hub: Hub, renderer: Renderer) -> None:
        self._writer = writer
        self._hub = hub
        self._renderer = renderer

    @property
    def routes(self) -> list[Route]:
        """What is answered, relative to the page."""
        return [Route("/page/stream/verdict", self._judge, methods=["POST"])]

    async def _judge(self, request: Request) -> Response:
        judge = who(request)
        if judge is None or not self._writer.may(judge):
            return _said(403, "You may not judge labels.")
        try:
            fields = await read_fields(request)
        except FormError as error:
            return _said(error.status, str(error))
        position = Position.read(fields.get("position", ""))
        post = self._hub.shown(position) if position is not None else None
        if post is None:
            return _said(404, "This post has left the window.")
        try:
            verdict = await self._writer.write(post, fields.get("task", ""), fields.get("says", ""), judge)
        except VerdictError as error:
            return _said(409, str(error))
        return HTMLResponse(self._renderer.text("verdict.html", verdict=verdict))


def _said(status: int, said: str) -> Response:
    return HTMLResponse(f'<span class="warned">{said}</span>', status)
