"""`moderate dead-letters list` and `show` on a real Kafka."""

import base64
import json
from typing import Any

import pytest

from tests.worker.commands.dead_letters.letters import Draft, question, write
from tests.worker.system import Stream, post
from worker.broker.positions import Position
from worker.commands.dead_letters.commands import list_letters, show_letters
from worker.errors import FatalError

HOSTILE = "\x1b]0;owned\x07\u202e\x9b31m"
NINE = 1_790_845_200_000  # 2026-10-01 09:00 UTC
HOUR = 3_600_000
STEERING = {"\x1b", "\x07", "\u202e", "\x9b"}


class Asker:
    """Asks for listings and letters."""

    def __init__(self, stream: Stream, said: pytest.CaptureFixture[bytes]) -> None:
        self.stream = stream
        self._said = said

    async def list(self, by: str = "error", **options: Any) -> dict[str, Any]:
        """Return the listing as JSON."""
        await list_letters(question(self.stream, **options), kind=by, as_json=True)
        answer: dict[str, Any] = json.loads(self._said.readouterr().out)
        return answer

    async def raw(self, place: str) -> bytes | None:
        """Return what `show --raw` writes; None where it refuses."""
        try:
            await show_letters(question(self.stream), Position.parse(place), raw=True, as_json=False)
        except FatalError:
            assert self._said.readouterr().out == b""
            return None
        return self._said.readouterr().out


@pytest.fixture
def ask(stream: Stream, capfdbinary: pytest.CaptureFixture[bytes]) -> Asker:
    """Give a way to ask."""
    return Asker(stream, capfdbinary)


def counts(answer: dict[str, Any], *columns: str) -> dict[tuple[str, ...], int]:
    """Return the letters by the columns of their groups."""
    return {tuple(group[column] for column in columns): group["letters"] for group in answer["groups"]}


async def test_letters_are_counted_by_what_they_have_in_common(stream: Stream, ask: Asker) -> None:
    """Numbers and quotes of a message do not part a group; what is no JSON has an unknown community."""
    await stream.create_topics(2)
    long = {"message": "text: 30000 characters, at most 20000 are read", "name": "worker.errors.InvalidRecordError"}
    drafts = [
        Draft(b'{"id": "a', 1, message="record: EOF at column 9 (got b'{\"id\"')", timestamp=NINE),
        Draft(b'{"id": "bb', 2, message="record: EOF at column 10 (got b'x')", timestamp=NINE + 1),
        Draft(post("c", text="x", community="trains"), 3, 1, timestamp=NINE + HOUR, **long),
        Draft(post("d", text="x", community="trains"), 4, timestamp=NINE + 2 * HOUR, **long),
        Draft(post("e", media=[], community=HOSTILE), 5, stage="media", message=HOSTILE, timestamp=NINE + 2 * HOUR),
        Draft(b'{"id": "f', 6, topic="elsewhere\xff", key=b'"bb"', timestamp=NINE + 2 * HOUR),
    ]
    positions = await write(stream, drafts)
    by_error = await ask.list()
    assert counts(by_error, "stage", "class", "error") == {
        ("decode", "InvalidRecordError", "text: N characters, at most N are read"): 2,
        ("decode", "ValidationError", "record: EOF at column N (got …)"): 2,
        ("decode", "ValidationError", "record: Invalid JSON: EOF at line N column N (got …)"): 1,
        ("media", "ValidationError", HOSTILE.replace("0", "N").replace("31", "N")): 1,
    }
    (text,) = [group for group in by_error["groups"] if group["class"] == "InvalidRecordError"]
    assert (text["sample"], text["last"]) == (positions[3], "2026-10-01T11:00:00.000+00:00")
    assert (by_error["letters"], by_error["replayed"], by_error["incomplete"]) == (6, 0, 0)
    assert counts(await ask.list("stage"), "stage") == {("decode",): 5, ("media",): 1}
    by_community = counts(await ask.list("community"), "community")
    assert by_community == {("(unknown)",): 3, ("trains",): 2, (HOSTILE,): 1}
    by_hour = await ask.list("hour")
    assert [(group["hour"], group["letters"]) for group in by_hour["groups"]] == [
        ("2026-10-01 09Z", 2), ("2026-10-01 10Z", 1), ("2026-10-01 11Z", 3)
    ]  # fmt: skip

    async def only(**options: Any) -> set[str]:
        return {group["dead_letter"] for group in (await ask.list("letter", **options))["groups"]}

    assert await only(stages=["media", "infer"]) == {positions[4]}
    assert await only(errors=["invalidrecord"], communities=["trains"]) == {positions[2], positions[3]}
    assert await only(partitions=[1]) == {positions[2]}
    assert await only(start="2026-10-01T10:00:00Z", end="2026-10-01T11:00:00Z") == {positions[2]}
    # Of bytes that are no JSON, an id in quotes or as the key counts.
    assert await only(post_ids=["bb", "d"]) == {positions[3]}
    assert await only(post_ids=["a"]) == set()


async def test_parts_are_joined_to_the_bytes_of_the_post(stream: Stream, ask: Asker) -> None:
    """By the letter's position, by that of a later part and by the post's, `--raw` gives the very bytes."""
    await stream.create_topics(1)
    large, other = Draft(bytes(range(256)) * 40, 7, parts=4), Draft(b"0123456789", 8, parts=2)
    drafts = [
        (other, 1), Draft(b"?", 6), large, (large, 0), (other, 0), (large, 1), (large, 2), (other, 1), (large, 3)
    ]  # fmt: skip
    positions = await write(stream, drafts)
    # 0 is a part without its beginning, 1 is whole, 2 to 5 follow each other, from 6 on two letters alternate.
    assert await ask.raw(positions[1]) == b"?"
    assert await ask.raw(positions[2]) == large.value
    assert await ask.raw(positions[4]) == large.value
    assert await ask.raw(positions[7]) == other.value
    assert await ask.raw(f"{stream.posts}[0]@8") == other.value
    assert await ask.raw(positions[0]) is None
    assert await ask.raw(f"{stream.posts}[0]@7") is None, "two letters of one post"
    assert await ask.raw(f"{stream.posts}[0]@9") is None
    assert await ask.raw(f"{stream.dead}[0]@99") is None
    answer = await ask.list("letter")
    assert (answer["letters"], answer["incomplete"]) == (4, 1)
    # A range that ends between the parts of a letter has the whole letter.
    cut = await ask.list("letter", start="7", end="8")
    assert [group["dead_letter"] for group in cut["groups"]] == [positions[7]]


async def test_a_letter_is_shown_with_its_reason_and_harms_no_terminal(stream: Stream) -> None:
    """Bytes that are no UTF-8 are readable; `--json` and `--raw` have them exactly; mistakes are one line."""
    await stream.create_topics(1)
    value = f"{HOSTILE}".encode() + b"\xff\xfe"
    own = [("trace", b"1"), ("moderate.attempt", b"2"), ("moderate.replay-of", b"posts[0]@3"), ("evil", b"\x1b[2J\xff")]
    (place,) = await write(stream, [Draft(value, 5, key=b"\x1b[1mkey", own=own, message=f"bad {HOSTILE}")])
    code, output, errors = await stream.command("dead-letters", "show", place)
    assert code == 0, errors
    assert not STEERING & set(output)
    for said in (f"{stream.posts}[0]@5", "decode", "ValidationError", "2, the last a replay of posts[0]@3", "trace: 1"):
        assert said in output
    code, output, errors = await stream.command("dead-letters", "list")
    assert code == 0, errors
    assert not STEERING & set(output)
    assert output.strip().endswith("1 dead letters, 0 of them replayed")
    code, output, errors = await stream.command("dead-letters", "show", "--stage", "decode", "--json")
    assert code == 0, errors
    shown = json.loads(output)
    assert base64.b64decode(shown["value_base64"]) == value
    assert (shown["attempts"], shown["replayed"], shown["error"]["message"]) == (2, None, f"bad {HOSTILE}")
    for arguments, wanted in ((("show", "nonsense"), 2), (("list", "--partitions", "7"), 1)):
        code, output, errors = await stream.command("dead-letters", *arguments)
        assert (code, output, len(errors.strip().splitlines())) == (wanted, "", 1)
