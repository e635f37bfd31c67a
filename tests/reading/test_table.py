"""Every record of the table: what becomes of it, in the worker and in the commands."""

import json
import time
from contextlib import suppress
from pathlib import Path

import jsonschema
import pytest

from mmorient import Archive, ParsedPost, Place, PostError, PostLabels
from mmorient.input.post_json import read_line, read_post, write_line
from schemas import EVENTS, Label
from schemas.generate import render
from tests.reading.cases import BY_ITSELF, Case, post
from tests.reading.envelope_cases import ENVELOPES
from tests.reading.media_cases import PLAIN
from tests.reading.outcomes import labelled, outcome, taken
from worker.commands.import_archive.records import RecordMaker
from worker.commands.import_archive.terms import Terms
from worker.items import LISTED_MEDIA

CASES = (*PLAIN, *ENVELOPES)
_LABELLED = ("text", "image")
_POST_SCHEMA = json.loads(render(next(event for event in EVENTS if event.name == "post")))
_LABEL_SCHEMA = json.loads(render(next(event for event in EVENTS if event.name == "label")))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_what_becomes_of_a_record(case: Case) -> None:
    """As the table says; its fields are read as it says, and what is fetched is asked for as it says."""
    item, fetcher = await taken(case.value, case.reader)
    assert outcome(item) == case.now, item.rejection
    for name, value in case.reads.items():
        assert getattr(item.post, name) == value
    assert tuple(fetcher.asked) == case.fetched


def test_nothing_that_was_labelled_is_refused_now() -> None:
    """But for what says of itself that it is deleted, or what a setting does not expect."""
    labelled_before = [case for case in CASES if case.before.startswith(_LABELLED)]
    assert labelled_before
    worse = [case.name for case in labelled_before if not case.now.startswith(_LABELLED)]
    assert worse == ["Debezium, a flattened deletion", "debezium alone, a post"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_commands_read_what_the_worker_reads(case: Case, tmp_path: Path) -> None:
    """`mmorient label`, `explain` and `moderate import` go by the same rules; no media are fetched for that."""
    item, _ = await taken(case.value, case.reader)
    stage = item.rejection.stage if item.rejection is not None else None
    if case.reader is not BY_ITSELF:
        pass
    elif stage == "decode" or item.passed_over:
        with pytest.raises(PostError):
            read_post(case.value)
    else:
        found = read_post(case.value)
        assert item.post in {found, None}
    file = tmp_path / "posts.jsonl"
    # A line of a file holds no line end.
    if b"\n" not in case.value and case.value.strip():
        # The first line decides what kind of file it is.
        file.write_bytes(post() + b"\n" + case.value)
        maker = RecordMaker(Archive([file]), Terms("posts", 1, 10**9), reader=case.reader)
        _, imported = maker.outcomes(Place(), 0)
        assert (imported.refused is not None) == (stage == "decode"), imported.refused


def _by_the_letter() -> list[Case]:
    """Return the posts that are read, and that other readers of JSON read too."""
    found = []
    for case in PLAIN:
        with suppress(ValueError, RecursionError):
            if case.now.startswith(_LABELLED) and len(case.value) < 20_000 and isinstance(json.loads(case.value), dict):
                found.append(case)
    return found


@pytest.mark.parametrize("case", _by_the_letter(), ids=lambda case: case.name)
def test_the_schema_accepts_what_is_read(case: Case) -> None:
    """A producer that checks its posts by the JSON Schema is not refused what we would label."""
    jsonschema.validate(json.loads(case.value), _POST_SCHEMA)


async def test_a_label_never_grows_with_the_media() -> None:
    """Of a hundred thousand hopeless media the label names a few and counts the others."""
    item, _ = await taken(post(media=[None] * 100_000))
    (record,) = labelled(item)
    value = record.value or b""
    assert len(value) < 3000
    label = Label.model_validate_json(value)
    assert [one.index for one in label.unavailable] == list(range(LISTED_MEDIA + 1))
    assert {one.reason for one in label.unavailable[:-1]} == {"bad_medium"}
    assert (label.unavailable[-1].reason, label.unavailable[-1].count) == ("not_listed", 100_000 - LISTED_MEDIA)
    jsonschema.validate(json.loads(value), _LABEL_SCHEMA)


async def test_a_line_of_the_command_says_the_same() -> None:
    """`mmorient label` names the same media in the same words."""
    for count in (5, LISTED_MEDIA, LISTED_MEDIA + 1, 25_000):
        value = post(media=[None] * count)
        line = write_line(read_line(value, None), PostLabels({}, ("text",)))
        item, _ = await taken(value)
        said = [one.model_dump() for one in item.unavailable_media()]
        assert json.loads(line)["unavailable"] == said


@pytest.mark.parametrize(
    "value",
    [
        b'{"id": "a", "text": "b", "x": ' + b"[" * 900_000 + b"]" * 900_000 + b"}",
        b'{"id": "a", "text": "b", "x": ' + b"[" * 3_000_000,
        b'{"id": "a", "text": "b", "x": NaN, "n": ' + b"1" * 3_000_000 + b"}",
        b'{"id": "a", "text": "b", "x": NaN, "n": 0.' + b"1" * 3_000_000 + b"}",
        b'{"id": "a", "text": "b", "x": NaN, "n": [' + b"1" * 500 + (b"," + b"1" * 500) * 6000 + b"]}",
        b'{"id": "a", "text": "b", "x": ' + b"[" * 5000 + b'"' + rb"\"" * 1_000_000,
        b'{"id": "a", "text": "b\xff' + rb"\ud83d" * 500_000 + b'"}',
        b'{"id": "a", "text": "b", "media": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"id": "a", "text": "b", "media": [' + b"{}," * 1_000_000 + b"{}]}",
        post(text="b", media=[{"url": "a." * 1_000_000 + "/"}]),
        post(text="b", media=["-" * 3_000_000 + "/x"]),
        post(text="b", media=[{"url": "https://\u00fc" + "a" * 3_000_000}]),
        post(text="b", media=[{"data": " " * 3_000_000}, {"data": "data:," + "%" * 3_000_000}]),
        json.dumps({"type": "Note", "id": "a", "content": "<" * 3_000_000}).encode(),
        json.dumps({"type": "Note", "id": "a", "content": "<a" * 1_000_000 + "<br>" * 10 + " " * 1_000_000}).encode(),
    ],
    ids=range(15),
)
async def test_hostile_records_take_no_longer_than_their_bytes(value: bytes) -> None:
    """Megabytes of what other readers take a time for that grows with the square, or die of."""
    started = time.perf_counter()
    item, _ = await taken(value)
    assert outcome(item)
    assert time.perf_counter() - started < 30


async def test_a_path_of_a_stranger_names_no_file() -> None:
    """What is passed on as JSON for the page about a post has no path in it."""
    found = read_post(post(media=[{"path": "/etc/passwd", "ocr_text": "x"}]))
    assert isinstance(found, ParsedPost)
    assert found.media[0].path == "/etc/passwd"
    assert b"passwd" not in found.as_json()
    assert read_post(found.as_json()).media[0].ocr_text == "x"
