"""What a page shows of an answer, held against what was answered, and written anew from it.

A page may leave parts out: `…` within a line stands for any characters, a line of nothing but `…` for any lines.
All else is compared to the last digit, except what no two runs share: times, ports, and what a page's scenario names.
"""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

GAP = "…"
# Of times of any form, and of ports that the system chose.
VARIES = (
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?Z?",
    r"(?<=127\.0\.0\.1:)\d{4,5}",
)
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def lines_of(text: str) -> list[str]:
    """Return the lines of an answer as a terminal shows them: without colours, without what a line drew over."""
    return [
        _CONTROL.sub("", line.split("\r")[-1]).rstrip() for line in text.rstrip("\n").replace("\r\n", "\n").split("\n")
    ]


def differs(shown: str, answered: str, varies: Sequence[str] = ()) -> str:
    """Return where an answer is another one than a page shows; nothing where it is not.

    Args:
        shown: the page's block.
        answered: what the commands wrote.
        varies: patterns of what differs from run to run, beside times and ports.
    """
    answers, place, is_free = lines_of(answered), 0, False
    for line in lines_of(shown):
        if line.strip() == GAP:
            is_free = True
            continue
        fits = (
            at for at in range(place, len(answers)) if _pattern(line, varies).fullmatch(_masked(answers[at], varies))
        )
        found = next(fits, None) if is_free else next((at for at in fits if at == place), None)
        if found is None:
            there = (
                "anywhere below" if is_free else f"there is {answers[place]!r}" if place < len(answers) else "no more"
            )
            return f"{line!r} is shown, {there}"
        place, is_free = found + 1, False
    if place < len(answers) and not is_free:
        return f"{answers[place]!r} is not shown"
    return ""


def missing(shown: str, answered: str, varies: Sequence[str] = ()) -> str:
    """Return which line of a page stands nowhere in an answer whose lines come in any order; nothing where all do."""
    answers = [_masked(line, varies) for line in lines_of(answered)]
    for line in lines_of(shown):
        if line.strip() != GAP and not any(_pattern(line, varies).fullmatch(answer) for answer in answers):
            return f"{line!r} is shown, and stands nowhere"
    return ""


def renewed(shown: str, answered: str, varies: Sequence[str] = ()) -> str:
    """Return a page's block with what was answered now, and the same parts left out.

    Raises:
        ValueError: a part of the block has no lines of its kind in the answer.
    """
    if not differs(shown, answered, varies):
        return shown
    answers, place = lines_of(answered), 0
    made: list[str] = []
    parts = list(_parts(lines_of(shown)))
    if all(line.strip() != GAP for line in lines_of(shown)) and len(lines_of(shown)) != len(answers):
        # Nothing is left out: the answer has grown or shrunk.
        return "\n".join(answers) + "\n"
    for number, part in enumerate(parts):
        if not part:
            made.append(GAP)
            continue
        last = len(answers) - len(part)
        starts: Sequence[int] = range(place, last + 1)
        if starts and number == 0:
            starts = [0]
        elif starts and number == len(parts) - 1:
            starts = [last]
        found = max(starts, key=lambda at: _likeness(part, answers[at : at + len(part)]), default=-1)
        if found < place or found > last or last < 0:
            raise ValueError(f"no place for {part[0]!r} in the answer:\n{answered}")
        made += [
            # What differs from run to run alone stays as it is.
            old if _pattern(old, varies).fullmatch(_masked(new, varies)) else _cut(old, new)
            for old, new in zip(part, answers[found : found + len(part)], strict=True)
        ]
        place = found + len(part)
    return "\n".join(made) + "\n"


def _parts(lines: Sequence[str]) -> Iterator[list[str]]:
    """Yield the runs of lines between gaps, and an empty one for each gap."""
    part: list[str] = []
    for line in lines:
        if line.strip() == GAP:
            if part:
                yield part
            yield []
            part = []
        else:
            part.append(line)
    if part:
        yield part


def _likeness(part: Sequence[str], answers: Sequence[str]) -> float:
    return sum(
        SequenceMatcher(None, one, other, autojunk=False).ratio() for one, other in zip(part, answers, strict=True)
    )


def _cut(old: str, new: str) -> str:
    """Return a new line that leaves out what the old one left out."""
    if GAP not in old:
        return new
    if (alike := _alike(old).fullmatch(new)) is not None:
        return GAP.join(alike.groups())
    head, _, tail = old.rpartition(GAP)
    if tail and (at := new.rfind(tail)) >= 0 and new.endswith(tail):
        return f"{new[: min(len(head), at)]}{GAP}{tail}"
    return f"{new[: len(head)].rstrip()} {GAP}" if head.endswith(" ") else f"{new[: len(head)]}{GAP}"


def _alike(line: str) -> re.Pattern[str]:
    """Return what lines look like that differ from one in numbers and digests alone; its groups stand between gaps."""
    parts = []
    for part in line.split(GAP):
        words = re.split(r"(\w*\d[\w.]*)", part)
        # Of what is cut short, as many characters are shown as before.
        ends = rf"[\w.]{{{len(words[-2])}}}" if len(words) > 1 and not words[-1] else ""
        kinds = [r"[\w.]+" if number % 2 else re.escape(word) for number, word in enumerate(words)]
        if ends and len(parts) < line.count(GAP):
            kinds[-2] = ends
        parts.append(f"({''.join(kinds)})")
    return re.compile(".*?".join(parts))


def _masked(line: str, varies: Sequence[str]) -> str:
    for pattern in (*VARIES, *varies):
        line = re.sub(pattern, "⟨⟩", line)
    # What was masked may have been wider.
    return re.sub(r"\s+", " ", line)


def _pattern(line: str, varies: Sequence[str]) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in _masked(line, varies).split(GAP)))
