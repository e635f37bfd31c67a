"""Traces of posts: one span a post from fetch to commit, one below it a stage, sent to an OpenTelemetry collector.

A post's span hangs below the span that its `traceparent` names; the header itself goes on to the labels unchanged, so
that a label's bytes do not depend on whether anybody watches. Spans are made after the commit, in a thread of their
own, and dropped where too many wait: no post waits for its trace.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from worker.items import Item, StageTime
from worker.settings import Settings
from worker.telemetry.metrics import SPANS_DROPPED

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

_MAX_WAITING = 1024
_FLUSH_SECONDS = 3.0
_PATH = "/v1/traces"
_SCALE = 2**56  # of the random bytes of a trace id, as the W3C's draft for consistent sampling counts them


class NoTraces:
    """Writes nothing."""

    def write(self, items: Sequence[Item], publish: StageTime) -> None:
        """Write nothing."""

    async def close(self) -> None:
        """Nothing is open."""


class Traces:
    """Writes the traces of a share of the posts.

    Args:
        provider: makes spans and sends them.
        share: of the posts: those whose trace id, or place in Kafka where they bring none, falls into it. What the
            producer did not sample is never written.
        group_id: the consumer group; None for posts that came over HTTP.
    """

    def __init__(self, provider: "TracerProvider", *, share: float, group_id: str | None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("moderate")
        self._share = share
        self._group_id = group_id
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="traces")
        self._waiting = 0

    def write(self, items: Sequence[Item], publish: StageTime) -> None:
        """Take the chosen ones of a slice's committed items; returns at once."""
        chosen = [(item, parent) for item in items if (parent := self._parent(item)) is not None]
        if not chosen:
            return
        if self._waiting + len(chosen) > _MAX_WAITING:
            SPANS_DROPPED.inc(len(chosen))
            return
        self._waiting += len(chosen)
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._thread, self._write, chosen, publish)
        done.add_done_callback(partial(self._forget, len(chosen)))

    def _forget(self, count: int, done: "asyncio.Future[None]") -> None:
        self._waiting -= count
        if not done.cancelled() and done.exception() is not None:
            SPANS_DROPPED.inc(count)

    def _parent(self, item: Item) -> str | None:
        """Return the traceparent of a post that is traced, empty where it has none; None where it is not traced."""
        header = _header(item, "traceparent") or b""
        parts = header.split(b"-")
        if len(parts) >= 4 and len(parts[1]) == 32:
            with suppress(ValueError):
                sampled = int(parts[3], 16) & 1
                chosen = int(parts[1][-14:], 16) < self._share * _SCALE
                return header.decode("ascii", "replace") if sampled and chosen else None
        digest = blake2b(item.position.encode(), digest_size=7).digest()
        return "" if int.from_bytes(digest) < self._share * _SCALE else None

    def _write(self, chosen: Sequence[tuple[Item, str]], publish: StageTime) -> None:
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        propagator = TraceContextTextMapPropagator()
        for item, parent in chosen:
            stages = [*item.stages, publish]
            carrier = {"traceparent": parent} if parent else {}
            if state := _header(item, "tracestate"):
                carrier["tracestate"] = state.decode("ascii", "replace")
            consumed = self._group_id is not None
            span = self._tracer.start_span(
                f"process {item.record.topic}" if consumed else "label a post",
                context=propagator.extract(carrier, Context()),
                kind=SpanKind.CONSUMER if consumed else SpanKind.SERVER,
                attributes=self._attributes(item),
                start_time=stages[0].start_ns,
            )
            below = set_span_in_context(span, Context())
            for stage in stages:
                self._tracer.start_span(stage.stage, context=below, start_time=stage.start_ns).end(stage.end_ns)
            if (rejection := item.rejection) is not None:
                span.set_attribute("moderate.dead_letter.stage", rejection.stage)
                span.set_status(Status(StatusCode.ERROR, str(rejection)))
            span.end(publish.end_ns)

    def _attributes(self, item: Item) -> dict[str, str | int | list[str]]:
        record = item.record
        modalities = list(item.labels.modalities) if item.labels else []
        if self._group_id is None:
            return {"moderate.post.timestamp_ms": record.timestamp, "moderate.modalities": modalities}
        return {
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.destination.name": record.topic,
            "messaging.destination.partition.id": str(record.partition),
            "messaging.kafka.offset": record.offset,
            "messaging.consumer.group.name": self._group_id,
            "moderate.post.timestamp_ms": record.timestamp,
            "moderate.modalities": modalities,
        }

    async def close(self) -> None:
        """Send what waits, for a bounded time."""
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                await loop.run_in_executor(self._thread, self._provider.force_flush, round(_FLUSH_SECONDS * 1000))
        self._thread.shutdown(wait=False, cancel_futures=True)


def _header(item: Item, name: str) -> bytes | None:
    """Return the first header of that name that has a value."""
    return next((value for found, value in item.record.headers if found == name and value is not None), None)


def traces_of(
    settings: Settings, worker: str, exporter: "SpanExporter | None" = None, *, served: bool = False
) -> Traces | NoTraces:
    """Return what writes the traces that the settings ask for.

    Args:
        settings: of the worker.
        worker: incarnation of this process.
        exporter: where spans go instead of `trace.endpoint`.
        served: whether posts come over HTTP, and not from Kafka.
    """
    trace = settings.trace
    if not trace.endpoint:
        return NoTraces()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = {
        "service.name": "moderation-serve" if served else "moderation-worker",
        "service.version": version("mm-orient-moderation"),
    }
    instance = {"service.instance.id": settings.kafka.group_instance_id or worker}
    # Its own end at the process's would wait for a collector that does not answer.
    provider = TracerProvider(resource=Resource.create(name | instance), shutdown_on_exit=False)
    exporter = exporter or OTLPSpanExporter(endpoint=spans_address(trace.endpoint), timeout=_FLUSH_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=16 * _MAX_WAITING))
    return Traces(provider, share=trace.share, group_id=None if served else settings.kafka.group_id)


def spans_address(endpoint: str) -> str:
    """Return where a collector takes spans: its path for them, unless the endpoint names a path of its own."""
    parts = urlsplit(endpoint)
    return urlunsplit(parts._replace(path=_PATH)) if parts.path in {"", "/"} else endpoint
