"""What this process keeps of late: bounded in bytes, the least used goes first."""

from hypothesis import given
from hypothesis import strategies as st

from worker.labelling.cache.recent import Recent


def _recent(max_bytes: int) -> Recent[str, bytes]:
    return Recent(max_bytes, lambda key, value: len(key) + len(value))


def test_what_was_kept_is_found_and_what_was_not_is_not() -> None:
    recent = _recent(10_000)
    recent.keep([("a", b"1"), ("b", b"2")])
    assert recent.find(["a", "c"]) == {"a": b"1"}


def test_what_was_not_used_for_longest_makes_room() -> None:
    recent = _recent(650)
    recent.keep([("a", b"1"), ("b", b"2"), ("c", b"3")])
    recent.find(["a"])
    recent.keep([("d", b"4")])
    assert recent.find("abcd") == {"a": b"1", "c": b"3", "d": b"4"}


def test_nothing_is_kept_where_nothing_may_be() -> None:
    recent = _recent(0)
    recent.keep([("a", b"1")])
    assert not recent.find(["a"])


@given(st.lists(st.tuples(st.text(max_size=3), st.binary(max_size=300))), st.integers(0, 2000))
def test_it_never_takes_more_than_it_may_and_its_account_is_right(
    entries: list[tuple[str, bytes]], max_bytes: int
) -> None:
    recent = _recent(max_bytes)
    for entry in entries:
        recent.keep([entry])
        assert recent.bytes <= max_bytes
    kept = recent.find({key for key, _ in entries})
    assert recent.bytes == sum(len(key) + len(value) + 200 for key, value in kept.items())
