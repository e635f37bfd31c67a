"""Traces of posts, at a real OTLP receiver."""

import asyncio
import time

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.worker.otlp import attributes, collecting
from tests.worker.records import StandInRecord, item_of
from tests.worker.system import Stream, headers_of, post
from worker.errors import InvalidRecordError
from worker.items import Item, StageTime
from worker.settings import load_settings
from worker.telemetry.metrics import sample
from worker.telemetry.tracing import NoTraces, Traces, spans_address, traces_of

STAGES = ["decode", "media", "drawn", "embed", "infer", "publish"]


async def test_a_post_s_trace_goes_from_its_producer_to_its_labels(stream: Stream) -> None:
    """A post's span hangs below its producer's, each stage below it, within it and in order; labels keep the header."""
    await stream.create_topics(2)
    with collecting() as collector:
        worker = await (await stream.start(TRACE__ENDPOINT=collector.address, KAFKA__GROUP_INSTANCE_ID="pod-7")).ready()
        positions = await stream.feed([post("a", text="hello there"), post("b", text="good bye"), b"no json"], 2)
        await stream.settled(positions, 60)
        assert await worker.end() == 0
    for number in (0, 1):
        spans = collector.of_trace(number)
        # The trace id 0 is no valid one: such a post begins a trace of its own.
        if number == 0:
            assert spans == {}
            continue
        own = spans.pop(f"process {stream.posts}")
        assert own.parent_span_id == (1).to_bytes(8)
        assert "moderate.post.id" not in attributes(own)
        assert attributes(own)["messaging.kafka.offset"] == 0
        assert attributes(own)["messaging.consumer.group.name"] == stream.name
        assert sorted(spans) == sorted(STAGES)
        starts = [spans[stage].start_time_unix_nano for stage in STAGES]
        assert starts == sorted(starts)
        for span in spans.values():
            assert span.parent_span_id == own.span_id
            assert own.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
            assert span.end_time_unix_nano <= own.end_time_unix_nano
    refused = collector.of_trace(2)[f"process {stream.posts}"]
    assert refused.status.code == 2
    assert "JSON" in refused.status.message
    assert len([span for span in collector.spans if span.name.startswith("process ")]) == 3
    assert {resource["service.name"] for resource in collector.resources} == {"moderation-worker"}
    assert {resource["service.instance.id"] for resource in collector.resources} == {"pod-7"}
    topic = stream.label_topic("sarcasm")
    carried = {headers_of(record)["traceparent"] for record in (await stream.read(topic))[topic]}
    assert carried == {f"00-{number:032x}-0000000000000001-01".encode() for number in (0, 1)}


@pytest.mark.soak
async def test_a_collector_that_is_away_costs_no_post(stream: Stream) -> None:
    """With nobody at the endpoint, posts are labelled and the worker ends in time."""
    await stream.create_topics(2)
    worker = await (await stream.start(TRACE__ENDPOINT="http://127.0.0.1:9")).ready()
    positions = await stream.feed([post(f"p-{n}", text=f"text {n}") for n in range(20)], 2)
    await stream.settled(positions, 60)
    assert await worker.end() == 0


DECODED = StageTime("decode", time.time_ns() - 3000, time.time_ns() - 2000)


def traces(share: float) -> tuple[Traces, InMemorySpanExporter]:
    """Traces that stay here."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    return Traces(provider, share=share, group_id="g"), kept


def traced(number: int, flags: str = "01", trace: int = 0) -> Item:
    """A post with the header of a producer that traces."""
    header = ("traceparent", f"00-{trace or number + 1:032x}-00000000000000aa-{flags}".encode())
    item = item_of(number, text="x")
    assert isinstance(item.record, StandInRecord)
    item.record.headers = [header]
    item.stages.append(DECODED)
    return item


def publish() -> StageTime:
    """A stage that took a moment."""
    now = time.time_ns()
    return StageTime("publish", now - 2000, now)


async def test_the_share_is_chosen_by_trace_and_the_producer_may_say_no() -> None:
    """All workers choose the same traces; what the producer did not sample is left out; else the place tells."""
    low, high = 1, 2**56 - 1
    some, kept = traces(0.5)
    some.write([traced(0, trace=low), traced(1, trace=high), traced(2, "00", trace=low)], publish())
    await some.close()
    assert {span.context.trace_id for span in kept.get_finished_spans()} == {low}
    again, _ = traces(0.5)
    plain = [item_of(number, text="x") for number in range(400)]
    chosen = [again._parent(item) is not None for item in plain]
    assert chosen == [some._parent(item) is not None for item in plain]
    assert 140 < sum(chosen) < 260


@pytest.mark.parametrize("header", [b"", b"nonsense", b"00-zz-aa-01", b"00-" + b"g" * 32 + b"-" + b"a" * 16 + b"-01"])
async def test_a_broken_header_begins_a_trace(header: bytes) -> None:
    """What is no traceparent is none: the post is traced as one that brings none."""
    some, kept = traces(1.0)
    item = item_of(1, text="x")
    assert isinstance(item.record, StandInRecord)
    item.record.headers = [("traceparent", header)]
    item.rejection = InvalidRecordError("infer", "no")
    item.stages.append(DECODED)
    some.write([item], publish())
    await some.close()
    assert [span.name for span in kept.get_finished_spans()] == ["decode", "publish", "process posts"]
    assert kept.get_finished_spans()[-1].parent is None


async def test_a_post_that_came_over_http_is_served_and_not_consumed() -> None:
    """Its span hangs below its request's, and says nothing of a topic."""
    kept = InMemorySpanExporter()
    some = traces_of(load_settings({"trace": {"endpoint": "http://127.0.0.1:9"}}), "w", kept, served=True)
    assert isinstance(some, Traces)
    some.write([traced(1)], publish())
    await some.close()
    span = kept.get_finished_spans()[-1]
    assert (span.name, span.kind.name, span.parent.span_id) == ("label a post", "SERVER", 0xAA)
    assert span.attributes.keys() == {"moderate.post.timestamp_ms", "moderate.modalities"}
    assert span.resource.attributes["service.name"] == "moderation-serve"


async def test_what_is_too_much_is_dropped_and_counted() -> None:
    """A slice that does not fit into what may wait is left out whole, at once."""
    some, kept = traces(1.0)
    before = sample("moderate_traces_dropped_total")
    some.write([traced(number) for number in range(1025)], publish())
    assert sample("moderate_traces_dropped_total") - before == 1025
    some.write([traced(1)], publish())
    await asyncio.sleep(0)
    await some.close()
    assert len(kept.get_finished_spans()) == 3


def test_no_endpoint_no_traces() -> None:
    """Traces are off unless an endpoint is set; a path that it names is kept."""
    assert isinstance(traces_of(load_settings(), "w"), NoTraces)
    assert spans_address("http://c:4318") == "http://c:4318/v1/traces"
    assert spans_address("http://c:4318/") == "http://c:4318/v1/traces"
    assert spans_address("https://c/otel/v1/traces") == "https://c/otel/v1/traces"
