"""From labelled and rejected items to records."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmorient import ParsedPost, PostLabels, Reading
from mmorient.labels import TASKS, task_label
from mmorient.labels import Intensity as ModelIntensity
from mmorient.labels import TaskLabel as ModelLabel
from schemas import DeadLetter, Label, LabelSet, ModelStamp
from tests.worker.records import StandInRecord, item_of
from worker.errors import InvalidRecordError
from worker.items import Item
from worker.output.records import KEY_DROPPED_HEADER, RecordBuilder

STAMP = ModelStamp(name="m", checkpoint="sha256:" + "0" * 64, graph_context="bank", precision="fp32")
ROUTES = {task: f"labels.{task}" for task in ("sentiment", "sarcasm", "offensiveness")}
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def stage(routes: dict[str, str] = ROUTES, now: datetime = NOON) -> RecordBuilder:
    """Return a builder with a stopped clock."""
    return RecordBuilder(
        routes=routes, dead_letter_topic="dead", max_dead_letter_bytes=2000, stamp=STAMP, now=lambda: now
    )


def labelled(offset: int = 7) -> Item:
    """Return an item with labels."""
    item = item_of(offset, text="x", media=[{"url": "http://a/b"}])
    item.record.headers.append(("traceparent", b"00-1-2-01"))  # type: ignore[attr-defined]
    item.record.headers.append(("other", b"not carried"))  # type: ignore[attr-defined]
    item.unavailable[0] = "http_status"
    answers = {
        name: task_label(task, [0.1 * n for n in range(len(task.classes))], [0.3, 0.2, 0.1] if task.degrees else None)
        for name, task in TASKS.items()
    }
    item.labels = PostLabels(answers, ("text",))
    return item


def test_a_post_gives_one_record_a_topic() -> None:
    """Each routed task has its record, with the post's key, in the contract's form."""
    records = stage().records([labelled()])
    assert [record.topic for record in records] == list(ROUTES.values())
    assert {record.key for record in records} == {b"k"}
    label = Label.model_validate_json(records[1].value or b"")
    assert (label.post_id, label.task, label.source.offset) == ("p-7", "sarcasm", 7)
    assert label.unavailable[0].reason == "http_status"
    assert label.intensity is not None
    order = ["post_id", "task", "label", "probabilities", "intensity", "modalities", "unavailable"]
    assert list(json.loads(records[1].value or b"")) == [*order, "model", "source", "schema"]


def test_a_label_says_what_was_read() -> None:
    """Where a stage has found out; between what was unavailable and the model."""
    item = labelled()
    item.reading = Reading("de", supported=False, unread=0.31, truncated_text=False)
    for routes in (ROUTES, {"sentiment": "all", "sarcasm": "all"}):
        value = stage(routes).records([item])[0].value or b""
        assert json.loads(value)["reading"] == {
            "language": "de",
            "supported": False,
            "unread": 0.31,
            "truncated_text": False,
        }


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        ({"community": "gardening"}, {"community": "gardening"}),
        ({"created_at": "2026-11-20T13:00:00+01:00"}, {"created_at": "2026-11-20T12:00:00Z"}),
        ({"created_at": "2026-11-20T12:00:00.25"}, {"created_at": "2026-11-20T12:00:00.250000Z"}),
        ({"created_at": "0001-01-01T00:00:00+01:00"}, {}),
        ({"community": "x" * 257, "created_at": "yesterday"}, {}),
        ({"community": "x" * 256}, {"community": "x" * 256}),
        ({}, {}),
    ],
)
def test_a_label_says_where_and_when_its_post_was_written(fields: dict[str, str], written: dict[str, str]) -> None:
    """As the post has it, the same moment in the same bytes; what it has not, or cannot be read, is no field."""
    item = labelled()
    item.post = item_of(7, text="x", **fields).post
    for routes in (ROUTES, {"sentiment": "all", "sarcasm": "all"}):
        record = stage(routes).records([item])[0]
        value = json.loads(record.value or b"")
        assert {name: value[name] for name in ("community", "created_at") if name in value} == written
        assert record.value == stage(routes).records([item])[0].value


def test_a_label_says_which_threshold_decided_it() -> None:
    """In a record of its own and in one that tasks share; what no operator decided has no such field."""
    item = labelled()
    assert item.labels is not None
    answers = dict(item.labels.tasks)
    answers["sarcasm"] = task_label(TASKS["sarcasm"], [0.0, 0.1], [0.3, 0.2, 0.1], 0.7)
    item.labels = PostLabels(answers, ("text",))
    sentiment, sarcasm, offensiveness = (json.loads(record.value or b"") for record in stage().records([item]))
    assert (sarcasm["label"], sarcasm["threshold"], sarcasm["intensity"]["label"]) == (
        "not_sarcastic",
        0.7,
        "not_sarcastic",
    )
    assert sarcasm["probabilities"] == {"not_sarcastic": 0.475, "sarcastic": 0.525}
    assert not {"threshold"} & (sentiment.keys() | offensiveness.keys())
    (together,) = stage(dict.fromkeys(ROUTES, "all")).records([item])
    held = {task: one.get("threshold") for task, one in json.loads(together.value or b"")["labels"].items()}
    assert held == {"sentiment": None, "sarcasm": 0.7, "offensiveness": None}


def test_what_is_passed_over_leaves_no_record() -> None:
    """Its neighbours have theirs."""
    gone, item = Item(StandInRecord(b"{}")), labelled()
    gone.passed_over = "deletion"
    assert stage().records([gone, item]) == stage().records([item])


def test_tasks_that_share_a_topic_share_a_record() -> None:
    """One record a post carries all tasks of the topic under `labels`."""
    records = stage({"sentiment": "all", "humour": "all", "sarcasm": "labels.sarcasm"}).records([labelled()])
    assert [record.topic for record in records] == ["all", "labels.sarcasm"]
    together = LabelSet.model_validate_json(records[0].value or b"")
    assert list(together.labels) == ["sentiment", "humour"]


def test_bytes_do_not_depend_on_the_time() -> None:
    """A replay at another time gives the same key, value and id; only `ce_time` says when."""
    first = stage().records([labelled()])
    second = stage(now=datetime(2030, 1, 1, tzinfo=UTC)).records([labelled()])
    assert [(r.key, r.value) for r in first] == [(r.key, r.value) for r in second]
    differing = {
        a[0] for r, s in zip(first, second, strict=True) for a, b in zip(r.headers, s.headers, strict=True) if a != b
    }
    assert differing == {"ce_time"}


def test_headers_are_cloud_events() -> None:
    """CloudEvents binary mode, with an id of its own for each position, task and checkpoint, and the trace carried."""
    records = stage().records([labelled(1), labelled(2)])
    headers = [dict(record.headers) for record in records]
    assert len({header["ce_id"] for header in headers}) == len(records)
    assert headers[0]["ce_specversion"] == b"1.0"
    assert headers[0]["content-type"] == b"application/json"
    assert headers[0]["ce_time"] == b"2026-11-20T12:00:00.000Z"
    assert headers[0]["traceparent"] == b"00-1-2-01"
    assert "other" not in headers[0]


def test_a_rejected_record_keeps_its_bytes() -> None:
    """A dead letter carries the record's own key, value and headers, and why."""
    item = labelled()
    cause = ValueError("inner")
    item.rejection = InvalidRecordError("infer", "boom")
    item.rejection.__cause__ = cause
    (record,) = stage().records([item])
    assert (record.topic, record.key, record.value) == ("dead", b"k", item.record.value)
    assert ("other", b"not carried") in record.headers
    reason = DeadLetter.from_headers(record.headers)
    assert (reason.topic, reason.partition, reason.offset, reason.stage) == ("posts", 0, 7, "infer")
    assert (reason.exception_class_name, reason.exception_message) == ("builtins.ValueError", "boom")


def test_headers_larger_than_the_topic_takes_are_left_out_and_counted() -> None:
    """The bytes and the reason are what a dead letter must keep."""
    item = Item(StandInRecord(b"?", headers=[("own", b"1" * 5000), ("other", b"2")]))
    item.rejection = InvalidRecordError("decode", "not JSON")
    (record,) = stage({"sarcasm": "labels.sarcasm"}).records([item])
    headers = dict(record.headers)
    assert (record.value, headers["moderate.headers_dropped"], headers["__connect.errors.stage"]) == (
        b"?",
        b"2",
        b"decode",
    )
    assert "own" not in headers


def test_what_counts_replays_is_kept_where_headers_are_left_out() -> None:
    """Else a post with large headers would be replayed for ever; what is too large for a count is none."""
    large = ("own", b"1" * 5000)
    counted = [("moderate.attempt", b"1"), ("moderate.attempt", b"2"), ("moderate.replay-of", b"posts[0]@3")]
    for own, kept in ((counted, {"moderate.attempt": b"2", "moderate.replay-of": b"posts[0]@3"}), ([], {})):
        item = Item(StandInRecord(b"?", headers=[large, *own]))
        item.rejection = InvalidRecordError("decode", "not JSON")
        (record,) = stage({"sarcasm": "labels.sarcasm"}).records([item])
        headers = [(name, value) for name, value in record.headers if name.startswith("moderate.")]
        assert dict(headers) == {**kept, "moderate.headers_dropped": str(1 + len(own) - len(kept)).encode()}
        assert len(headers) == len(kept) + 1
    item = Item(StandInRecord(b"?", headers=[("moderate.attempt", b"1" * 5000)]))
    item.rejection = InvalidRecordError("decode", "not JSON")
    (record,) = stage({"sarcasm": "labels.sarcasm"}).records([item])
    assert "moderate.attempt" not in dict(record.headers)


def test_a_post_that_was_copied_from_a_part_is_no_part() -> None:
    """Its dead letter is whole, whatever its own headers say; a label carries nothing of a replay."""
    copied = [("moderate.part", b"2/3"), ("moderate.attempt", b"1"), ("moderate.replay-of", b"posts[0]@3")]
    item = Item(StandInRecord(b"?", headers=copied))
    item.rejection = InvalidRecordError("decode", "not JSON")
    (record,) = stage({"sarcasm": "labels.sarcasm"}).records([item])
    assert [name for name, _ in record.headers if name.startswith("moderate.")] == [name for name, _ in copied[1:]]
    plain, again = labelled(), labelled()
    again.record.headers.extend(copied)  # type: ignore[attr-defined]
    assert stage().records([again]) == stage().records([plain])


def test_a_dead_letter_larger_than_its_topic_takes_comes_in_parts() -> None:
    """Joined, the parts are the post's bytes; each has the reason, its number, and fits."""
    value = bytes(range(256)) * 20
    item = Item(StandInRecord(value, headers=[("own", b"1")]))
    item.rejection = InvalidRecordError("decode", "not JSON")
    parts = stage({"sarcasm": "labels.sarcasm"}).records([item])
    assert len(parts) > 1
    assert b"".join(part.value or b"" for part in parts) == value
    for number, part in enumerate(parts, start=1):
        headers = dict(part.headers)
        assert headers["moderate.part"] == f"{number}/{len(parts)}".encode()
        assert headers["__connect.errors.stage"] == b"decode"
        assert headers["own"] == b"1"
        assert (part.topic, part.key) == ("dead", b"k")
        assert len(part.value or b"") + sum(len(name) + len(content) for name, content in part.headers) < 2000


def test_a_label_that_its_topic_does_not_take_is_a_dead_letter() -> None:
    """The broker would refuse it for ever; its dead letter, in parts if need be, fits the topic of dead letters."""
    builder = RecordBuilder(
        routes=ROUTES, dead_letter_topic="dead", max_dead_letter_bytes=2000, max_label_bytes=3000, stamp=STAMP
    )
    item = labelled()
    assert {record.topic for record in builder.records([item])} == set(ROUTES.values())
    assert item.rejection is None
    item.record.key = b"k" * 3000  # type: ignore[misc]
    dead = builder.records([item])
    assert {record.topic for record in dead} == {"dead"}
    assert item.rejection is not None
    assert (item.rejection.stage, item.rejection.reason) == ("output", "label_too_large")
    for record in dead:
        headers = dict(record.headers)
        size = sum(len(name) + len(value or b"") for name, value in record.headers) + len(record.value or b"")
        assert size + len(record.key or b"") < 2000
        assert record.key is None
        assert headers[KEY_DROPPED_HEADER] == b"3000"
    assert b"".join(record.value or b"" for record in dead) == item.record.value


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
UNITS = st.integers(0, 10_000)


def shares(names: tuple[str, ...], units: list[int]) -> dict[str, float]:
    """Return probabilities with four decimals, whatever they sum to."""
    return {name: unit / 10_000 for name, unit in zip(names, units, strict=False)}


POSTS = st.builds(
    ParsedPost,
    TEXTS,
    st.just("x"),
    community=st.none() | TEXTS,
    created_at=st.none() | st.datetimes(timezones=st.none() | st.timezones()),
)
READINGS = st.builds(Reading, st.none() | TEXTS, st.booleans(), st.floats(0, 1), st.booleans())


@st.composite
def model_labels(draw: st.DrawFn) -> PostLabels:
    """Draw any answers of the model."""
    units = draw(st.lists(UNITS, min_size=4, max_size=4))
    threshold = draw(st.none() | st.floats(1e-9, 1 - 1e-9))
    answers = {
        name: ModelLabel(
            task.classes[0],
            shares(task.classes, units),
            ModelIntensity(task.degrees[1], shares(task.degrees, units)) if task.degrees else None,
            threshold,
        )
        for name, task in TASKS.items()
    }
    return PostLabels(answers, draw(st.sampled_from([("text",), ("image",), ("text", "image")])))


@settings(max_examples=300, deadline=None)
@given(POSTS, model_labels(), st.none() | READINGS, st.dictionaries(st.integers(0, 40), st.just("bad_medium")))
def test_the_bytes_are_those_of_the_schema(
    post: ParsedPost, labels: PostLabels, reading: Reading | None, unavailable: dict[int, str]
) -> None:
    """Whatever a post brings: a label that is read by `schemas` and written again is the same bytes."""
    item = item_of(7, text="x")
    item.post, item.labels, item.reading, item.unavailable = post, labels, reading, unavailable
    for routes, kind in ((ROUTES, Label), (dict.fromkeys(ROUTES, "all"), LabelSet)):
        for record in stage(routes).records([item]):
            assert kind.model_validate_json(record.value or b"").model_dump_json().encode() == record.value
