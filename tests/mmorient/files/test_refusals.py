"""Rows that are refused alike are counted after the first few."""

from mmorient.files.refusals import Refusals


def test_the_first_five_of_a_kind_are_named_and_the_others_counted() -> None:
    """Ids, numbers and places make no kind of their own."""
    said: list[str] = []
    refusals = Refusals(said.append)
    for number in range(1000):
        refusals.add(f"a.jsonl:{number}", f"'p-{number}' has neither text nor a picture")
        if number % 500 == 0:
            refusals.add(f"a.jsonl:{number}", f"Invalid JSON at line 1 column {number}")
    assert refusals.count == 1002
    assert len(said) == 7
    assert said[0] == "a.jsonl:0: 'p-0' has neither text nor a picture"
    refusals.close()
    assert said[7:] == ["995 more rows like a.jsonl:0: … has neither text nor a picture"]
    refusals.close()
    assert len(said) == 8


def test_kinds_are_bounded() -> None:
    """A file that makes a kind of its own of every row fills no memory."""
    said: list[str] = []
    refusals = Refusals(said.append, first=1)
    for number in range(10_000):
        refusals.add(f"a:{number}", "".join(chr(97 + int(digit)) for digit in str(number)))
    refusals.close()
    assert len(said) < 110
    assert said[-1].startswith("98")
