"""A report as one page that needs no other file, no network and no script."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, StrictUndefined

from worker.commands.diff.compare.counting import FACETS
from worker.commands.diff.compare.report import Comparison, Estimate, Moved, RateTest, Report, Segment
from worker.commands.diff.compare.verdict import (
    answer,
    chance,
    direction,
    is_hot,
    lean_of,
    leans,
    name_of,
    percent,
    plain,
    points,
    sentences,
    shift_of_rates,
    signed,
)
from worker.commands.diff.show import plots
from worker.commands.diff.show.page import STYLE, TEMPLATE
from worker.commands.diff.show.terminal import chosen
from worker.commands.terminal import harmless

_SEGMENTS = 12  # of a facet
_PARTS = 8
# Ends of axes of shares.
_ENDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0)
_DEEPEST = 0.55  # figures are hard to read on a darker shade


@dataclass(frozen=True)
class _Plot:
    url: str
    alt: str


@dataclass(frozen=True)
class _Reasons:
    """One model's explanation for one task, as the page shows it."""

    label: str
    probability: float
    words: list[tuple[str, str]]
    moves: list[tuple[str, float]]


def page(report: Report) -> str:
    """Return the page of a report, HTML."""
    rows = [(task, found) for task, found in report.tasks.items()]
    rows += [(f"{task} intensity", found) for task, found in report.intensities.items()]
    claimed = {task: [one.share.high for one in found.slices if one.claimed] for task, found in report.tasks.items()}
    return (
        _environment()
        .from_string(TEMPLATE)
        .render(
            report=report,
            answer=answer(report.tasks, report.fail_over),
            sentences=sentences(report.tasks),
            style=STYLE,
            rows=rows,
            scale=_scale([found.share.high for _, found in rows]),
            tests="McNemar, exact; of three classes and more Stuart-Maxwell",
            plots={task: _plots(found) for task, found in report.tasks.items()},
            groups={task: _groups(found) for task, found in report.tasks.items()},
            scales={task: _scale([found.share.high, *claimed[task]]) for task, found in report.tasks.items()},
            segments=sum(map(len, claimed.values())),
        )
    )


def _environment() -> Environment:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= {
        "capital": lambda task: harmless(task[:1].upper() + task[1:]),
        "chance": chance,
        "direction": _direction,
        "figure": lambda one: f"{one.value:.4f} ({one.low:.4f} to {one.high:.4f})",
        "harmless": harmless,
        "largest": shift_of_rates,
        "marks": _marks,
        "moved": lambda one: f"{signed(one.value)} ({signed(one.low)} to {signed(one.high)})",
        "named": name_of,
        "percent": _percent,
        "plain": lambda name: plain(harmless(name, 60)),
        "points": lambda one: f"{points(one).replace(', ', ' (')})",
        "reasons": _reasons,
        "shade": lambda share: f"background:rgba(var(--shade),{_DEEPEST * min(1, 2 * share):.2f})",
        "share": lambda share: f"{100 * share:.1f} %" if share >= 0.001 or not share else "< 0.1 %",
        "tested": _tested,
    }
    return environment


def _percent(estimate: Estimate) -> str:
    return percent(estimate).replace("%", "")


def _direction(found: Comparison) -> str:
    shift = direction(found)
    return harmless(lean_of(shift)) if shift else "none beyond chance"


def _tested(test: RateTest) -> str:
    if test.name == "mcnemar":
        return f"McNemar, exact: p {chance(test.p)}"
    asked = "rates (Stuart-Maxwell)" if test.name == "stuart-maxwell" else "symmetry (Bowker)"
    return f"{asked}: χ² {test.statistic:.2f}, {test.degrees_of_freedom} d.f., p {chance(test.p)}"


def _marks(one: Segment) -> str:
    said = ["flips more than elsewhere"] if is_hot(one) else []
    if leans(one):
        said.append("leans")
    return ", ".join(said)


def _scale(highs: list[float]) -> float:
    """The end of an axis of shares: a round figure that is at least as large as all of them."""
    top = max([*highs, 0.001])
    return next(end for end in _ENDS if end >= top)


def _plots(found: Comparison) -> list[_Plot]:
    drawn = []
    # Of two classes, one says what the other does.
    for shift in found.by_class[1:] if len(found.by_class) == 2 else found.by_class:
        name = plain(harmless(shift.name, 40))
        level = plots.scores(shift.scores.histogram, name)
        moved = plots.changes(shift.scores.change_histogram, name)
        drawn.append(_Plot(level, f"Posts by the probability of {name}, left and right"))
        drawn.append(_Plot(moved, f"Posts by the change of the probability of {name}"))
    drawn.append(
        _Plot(plots.agreement(found.agreement), "How often the right agrees with the left, by the left's confidence")
    )
    if found.truth is not None:
        bins = found.truth.left_reliability, found.truth.right_reliability
        drawn.append(_Plot(plots.reliability(*bins), "How often each side is right, by its confidence"))
    return drawn


def _groups(found: Comparison) -> list[tuple[str, list[Segment], int]]:
    groups = []
    for by in FACETS:
        mine = [one for one in found.slices if one.by == by]
        if mine:
            shown = chosen(mine, _SEGMENTS)
            groups.append((by, shown, len(mine) - len(shown)))
    return groups


def _reasons(post: Moved) -> list[tuple[str, _Reasons]]:
    if post.explanations is None:
        return []
    sides = (("left", post.explanations.left), ("right", post.explanations.right))
    return [(name, _read(document, post.task)) for name, document in sides if document is not None]


def _read(document: Mapping[str, Any], task: str) -> _Reasons:
    label = document["labels"][task]
    chosen_label = label["label"]
    text = document["text"]
    words: list[tuple[str, str]] = []
    if text is not None:
        top = max((word["attention"] or 0.0 for word in text["words"]), default=0.0) or 1.0
        words = [(word["word"], _heat(word["attention"], top)) for word in text["words"]]
    moves = [
        (_part(document, one), -one["changes"][task][chosen_label])
        for one in (*document["without"], *document["without_words"])
    ]
    moves.sort(key=lambda one: -abs(one[1]))
    return _Reasons(chosen_label, label["probabilities"][chosen_label], words, moves[:_PARTS])


def _heat(attention: float | None, top: float) -> str:
    if attention is None:
        return "text-decoration:line-through"
    return f"background:rgba(249,142,9,{0.7 * attention / top:.2f})"


def _part(document: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    if one["part"] == "word":
        return f"\u201c{document['text']['words'][one['index']]['word']}\u201d"
    if one["part"] == "picture" and len(document["pictures"]) > 1:
        return f"picture {one['index'] + 1}"
    return {"text": "the text", "pictures": "all pictures"}.get(one["part"], "the picture")
