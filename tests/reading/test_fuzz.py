"""Records that nobody thought of: those of the table and of the samples, mutated, and JSON made from nothing.

`FUZZ_RECORDS` says how many. `make fuzz` reads many more (`tests/fuzz`).
"""

import asyncio
import copy
import json
import os
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmorient import ParsedPost, PassedOver, PostError, PostReader
from mmorient.input.reading.fields import ID_CHARS, NAMES
from mmorient.input.reading.media import MAX_MEDIA
from tests.reading.envelope_cases import ENVELOPES
from tests.reading.media_cases import PLAIN
from tests.reading.outcomes import labelled, taken, written
from worker.commands.demo.samples import read_samples

RECORDS = int(os.environ.get("FUZZ_RECORDS", "2000"))
# Of CPU time, for a record of kilobytes: the machine may be busy with other things.
_MOST_SECONDS = 2.0
_LABEL_BYTES = 8192
_HEADER_BYTES = 4096

SEEDS = [case.value for case in (*PLAIN, *ENVELOPES) if len(case.value) < 20_000]
SAMPLES = [one.value for one in read_samples("http://127.0.0.1:1/") if one.value and len(one.value) < 20_000]
READERS = [
    *[PostReader()] * 5,
    PostReader("post"),
    PostReader("debezium"),
    PostReader("jetstream"),
    PostReader("activitypub"),
    PostReader(fields={"id": "/after/id", "text": "/payload/text", "media": "/0"}),
]
# What breaks readers, wherever it is put.
_TOKENS = [
    *(b"null", b"true", b"{}", b"[]", b'""', b"0", b"-1", b"1e999", b"NaN", b"-Infinity", b"1.5", b"9" * 5000),
    *(rb'"\ud83d"', rb"\ud83d", rb"\udc80", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\0", b"\n", b"\\", b'"'),
    *(b"{", b"[", b"}", b"]", b",", b":", b"[" * 1500, b'{"a":' * 1500, b"]" * 1500),
    *(b'"data:;base64,"', b'"//a.b/c"', b'"https://\xc3\xbc.de/x"', b'{"$oid": "x"}', b"<p", b"&#x110000;", b"%"),
    *(name.encode() for name in (*NAMES, "url", "data", "alt_text", "after", "op", "payload", "specversion", "type")),
]
_ODD = [
    None,
    True,
    0,
    -1,
    7,
    1.5,
    10**400,
    float("nan"),
    float("inf"),
    "",
    " ",
    "x",
    "\ud83d",
    "\udc80",
    "\0",
    "{",
    "[]",
]
_ODD += [
    [],
    {},
    [None],
    [[]],
    [{}],
    {"id": 1},
    {"url": "//a.b/c"},
    "data:,x",
    "data:image/png;base64,AA=",
    "a.b/c",
    "<",
]
_OTHERS = (
    "url data ocr_text before after op schema payload specversion source type data_base64 did kind commit record rkey "
    "embed images object content attachment __deleted"
)
_NAMES = st.sampled_from([*NAMES, *_OTHERS.split()])
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["a", "https://a.b/c"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=6),
    max_leaves=12,
)


def changed(value: bytes, chance: random.Random) -> bytes:
    """Return a record that is JSON still, with something odd in the place of one of its parts."""
    try:
        whole = json.loads(value)
    except (ValueError, RecursionError):
        return mutated(value, chance)
    places = list(_places(whole))
    if places:
        holder, key = chance.choice(places)
        other, place = chance.choice(places)
        holder[key] = copy.deepcopy(chance.choice([*_ODD, other[place]]))
    return json.dumps(whole, ensure_ascii=chance.random() < 0.5).encode(errors="surrogatepass")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    holders = [value]
    while holders:
        holder = holders.pop()
        for key in list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ():
            yield holder, key
            holders.append(holder[key])


def mutated(value: bytes, chance: random.Random) -> bytes:
    """Return a record with a few things done to it."""
    for _ in range(chance.randint(1, 2)):
        at, until = sorted(chance.randint(0, len(value)) for _ in range(2))
        match chance.randint(0, 6):
            case 0:  # flip a bit
                if value:
                    at = min(at, len(value) - 1)
                    value = value[:at] + bytes([value[at] ^ (1 << chance.randint(0, 7))]) + value[at + 1 :]
            case 1:  # cut
                value = value[:at]
            case 2:  # take out
                value = value[:at] + value[min(until, at + 8) :]
            case 3:  # repeat
                value = value[:at] + value[at:until] * 2 + value[until:]
            case 4 | 5:  # put in
                value = value[:at] + chance.choice(_TOKENS) + value[at:]
            case 6:  # put a token in the place of a value
                parts = value.split(b":")
                where = chance.randrange(len(parts))
                parts[where] = b" " + chance.choice(_TOKENS) + b", " + parts[where].partition(b",")[2]
                value = b":".join(parts)
    return value[:60_000]


def check(value: bytes, reader: PostReader) -> str:
    """Read a record and take it up to the model; return what became of it.

    Raises:
        Exception: anything that the stages do not expect.
    """
    started = time.process_time()
    item, _ = asyncio.run(taken(value, reader))
    assert time.process_time() - started < _MOST_SECONDS, value[:200]
    if item.rejection is not None:
        (letter,) = written(item)
        assert letter.value == value
        assert sum(len(content) for _, content in letter.headers) < _HEADER_BYTES
        return item.rejection.reason
    if item.passed_over is not None:
        return item.passed_over
    found = item.post
    assert found is not None
    assert 1 <= len(found.id.encode()) <= 4 * ID_CHARS
    assert len(found.media) <= MAX_MEDIA
    assert item.text is not None or item.pictures
    found.as_json()
    (record,) = labelled(item)
    assert len(record.value or b"") < _LABEL_BYTES
    return "labelled"


def careful(value: bytes, reader: PostReader) -> ParsedPost | PassedOver | str:
    """Return what is read without the short cut for what is right."""
    try:
        return reader.read(value)
    except PostError as error:
        return error.code


def test_mutated_records_are_labelled_or_dead_lettered() -> None:
    """None ends the process, none takes long, and those that are read hold nothing that cannot be written."""
    chance = random.Random(os.environ.get("FUZZ_SEED", "0"))
    became: dict[str, int] = {}
    for _ in range(RECORDS):
        seed = chance.choice(SEEDS if chance.random() < 0.7 else SAMPLES)
        value = chance.choice([changed, changed, mutated])(seed, chance)
        outcome = check(value, chance.choice(READERS))
        became[outcome] = became.get(outcome, 0) + 1
    print(became)
    assert {"labelled", "no_json", "no_post"} <= became.keys()


@settings(max_examples=max(200, RECORDS // 10), deadline=None, suppress_health_check=list(HealthCheck))
@given(_JSON, st.sampled_from(READERS), st.booleans())
def test_any_json_is_labelled_or_dead_lettered(value: Any, reader: PostReader, strict: bool) -> None:  # noqa: FBT001
    """Objects of the names that we know, with anything in them."""
    check(json.dumps(value, ensure_ascii=strict).encode(errors="surrogatepass"), reader)


@pytest.mark.slow
@settings(max_examples=max(200, RECORDS // 10), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from([*NAMES, "x"]), _JSON, max_size=8))
def test_the_short_cut_reads_what_the_long_way_reads(fields: dict[str, Any]) -> None:
    """A post that is right is read by another parser than one that is not, and means the same."""
    value = json.dumps(fields).encode()
    assert careful(value, PostReader()) == careful(b"\xef\xbb\xbf" + value, PostReader())


def test_the_short_cut_reads_the_samples_as_the_long_way_does() -> None:
    """The same, of ordinary posts."""
    for value in (*SAMPLES, *SEEDS):
        if value[:1] == b"{" and b"\0" not in value:
            assert careful(value, PostReader()) == careful(b"\xef\xbb\xbf" + value, PostReader()), value[:200]
