"""A report on a terminal: no line is wider than it, and only a terminal gets colours."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.commands.diff.compare.counting import FACETS
from worker.commands.diff.compare.report import Comparison, Decisions, Explanations, Moved, Report, Segment, Side
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
from worker.commands.terminal import harmless

_SEGMENTS = 6  # of a facet
_TEXT = 160
_LEANS = "leans: the right has one class more often there than the left, beyond chance"
_WORDS = 6
_VERSION = len("sha256:") + 12
_CHANGED = 6


def print_report(report: Report, console: Console, *, moved: int | None = None) -> None:
    """Print a report.

    Args:
        report: what was found.
        console: where it goes.
        moved: how many of the posts that moved most to print; None for all.
    """
    for name, side in (("left", report.left), ("right", report.right)):
        console.print(_side(name, side))
    by = "place in Kafka" if report.joined_by == "source" else "post id"
    posts = report.posts
    console.print(
        Text(
            f"joined  {posts.joined:,} posts by {by}; on the left alone {posts.left_only:,}, "
            f"on the right alone {posts.right_only:,}",
            style="dim",
        )
    )
    for notice in report.notices:
        console.print(Text(f"note    {harmless(notice)}", style="yellow"))
    console.print()
    for sentence in sentences(report.tasks):
        console.print(Text(harmless(sentence), style="bold"))
    console.print(Text(f"May the right replace the left? {harmless(answer(report.tasks, report.fail_over))}"))
    if not report.tasks:
        return
    _heading(
        console,
        "Flips",
        "share with its 95 % interval; p: how likely such a difference is if both sides have each class as often",
    )
    console.print(_flips(report))
    if report.decisions is not None:
        _decisions(console, report.decisions)
    for task, found in report.tasks.items():
        _task(console, task, found)
    shown = report.moved if moved is None else report.moved[:moved]
    if shown:
        _heading(console, "Moved most", "distance: total variation between a post's two answers, 0 to 1")
        for post in shown:
            _moved(console, post)


def _side(name: str, side: Side) -> Text:
    line = Text.assemble((f"{name:<7} ", "dim"), (harmless(side.name), "bold"), f"  {side.labels:,} labels")
    for one in side.models[:2]:
        stamp = [(one.checkpoint or "")[:19], one.name, one.precision, f"graph context {one.graph_context}"]
        if one.checkpoint:
            line.append(f"  {harmless(' '.join(part for part in stamp if part))}", style="dim")
    return line


def _heading(console: Console, title: str, note: str = "") -> None:
    console.print()
    console.print(Text.assemble((title, "bold underline"), (f"  {note}" if note else "", "dim")))


def _table(*columns: str, right: Sequence[int] = ()) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for place, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if place in right else "left", overflow="fold")
    return table


def _flips(report: Report) -> Table:
    table = _table("", "posts", "flips", "share, %", "direction", "p", right=(1, 2))
    rows = [(task, found) for task, found in report.tasks.items()]
    rows += [(f"{task} intensity", found) for task, found in report.intensities.items()]
    for name, found in rows:
        shift = direction(found)
        limit = report.fail_over and name in report.fail_over.exceeded
        table.add_row(
            Text(harmless(name), style="bold"),
            f"{found.posts:,}",
            f"{found.flips:,}",
            Text(_share(found), style="red" if limit else ""),
            Text(harmless(lean_of(shift)) if shift else "none beyond chance", style="" if shift else "dim"),
            chance(found.tests[0].p),
        )
    return table


def _decisions(console: Console, found: Decisions) -> None:
    left, right = found.left_policy[:_VERSION], found.right_policy[:_VERSION]
    by = f"both by policy {left}" if left == right else f"the left by policy {left}, the right by {right}"
    _heading(console, "Decisions", f"{found.changed:,} of {found.posts:,} posts change; {by}")
    if not found.by_decision:
        return
    table = _table("", "left", "right", "gained", "lost", "p", right=(1, 2, 3, 4))
    for one in found.by_decision:
        name = Text(harmless(one.name), style="bold")
        table.add_row(name, *(f"{n:,}" for n in (one.left, one.right, one.gained, one.lost)), chance(one.p))
    console.print(table)
    for post in found.first[:_CHANGED]:
        left, right = (", ".join(side) or "none" for side in (post.left, post.right))
        console.print(Text(f"{harmless(f'{left} → {right}')}  {harmless(post.post_id, 60)}", style="dim"))
    if found.changed > _CHANGED:
        console.print(Text(f"and {found.changed - _CHANGED:,} more; --json lists some", style="dim"))


def _share(found: Comparison) -> str:
    return percent(found.share).replace("%", "")


def _task(console: Console, task: str, found: Comparison) -> None:
    if not found.flips and not found.mean_distance and found.truth is None:
        _heading(console, harmless(task[:1].upper() + task[1:]), "no label and no probability differs")
        return
    _heading(
        console, harmless(task[:1].upper() + task[1:]), "posts by the left's label (rows) and the right's (columns)"
    )
    console.print(_matrix(found))
    console.print(_classes(found))
    confidence = found.confidence
    console.print(
        Text(
            f"mean probability of the own label: left {confidence.left:.3f}, right {confidence.right:.3f} "
            f"({signed(confidence.change.value)}, {signed(confidence.change.low)} to {signed(confidence.change.high)})"
        )
    )
    agreement = ", ".join(
        f"{one.since:.1f}\u2013{one.until:.1f}: {one.agrees:.0%} of {one.posts:,}" for one in found.agreement
    )
    console.print(Text(f"right agrees, by the left's confidence: {agreement}"))
    if found.truth is not None:
        truth = found.truth
        console.print(
            Text(
                f"of {truth.posts:,} posts with a known answer: accuracy {truth.left_accuracy.value:.2%} and "
                f"{truth.right_accuracy.value:.2%} ({points(truth.accuracy_change)} points, p {chance(truth.p)}); "
                f"calibration error {truth.left_ece.value:.4f} and {truth.right_ece.value:.4f} "
                f"({signed(truth.ece_change.value)}, {signed(truth.ece_change.low)} to {signed(truth.ece_change.high)})"
            )
        )
    if found.flips and len(found.slices) > 1:
        console.print(_segments(found))
        if any(map(leans, found.slices)):
            console.print(Text(_LEANS, style="dim"))


def _matrix(found: Comparison) -> Table:
    table = _table("", *(plain(harmless(name)) for name in found.classes), right=range(1, len(found.classes) + 1))
    for row, name in enumerate(found.classes):
        cells = [
            Text(f"{count:,}", style="dim" if row == column else "bold" if count else "dim")
            for column, count in enumerate(found.matrix[row])
        ]
        table.add_row(Text(plain(harmless(name)), style="dim"), *cells)
    return table


def _classes(found: Comparison) -> Table:
    table = _table(
        "class", "left", "right", "points", "gained", "lost", "p", "mean score, change", "Wasserstein", "PSI",
        right=(1, 2, 4, 5, 8, 9),
    )  # fmt: skip
    # Of two classes, one says what the other does.
    for shift in found.by_class[1:] if len(found.by_class) == 2 else found.by_class:
        scores, change = shift.scores, shift.scores.mean_change
        table.add_row(
            plain(harmless(shift.name)),
            f"{shift.left:,}",
            f"{shift.right:,}",
            points(shift.change),
            f"{shift.gained:,}",
            f"{shift.lost:,}",
            chance(shift.p_holm),
            f"{signed(change.value)}, {signed(change.low)} to {signed(change.high)}",
            f"{scores.wasserstein:.4f}",
            f"{scores.psi:.4f}",
        )
    return table


def _segments(found: Comparison) -> Table:
    table = _table("segment", "", "posts", "flips", "share, %", "largest change", "", right=(2, 3))
    for by in FACETS:
        mine = [one for one in found.slices if one.by == by]
        if len(mine) < 2:
            continue
        shown = chosen(mine, _SEGMENTS)
        for place, one in enumerate(shown):
            table.add_row(by if place == 0 else "", *_segment(one))
        if len(mine) > len(shown):
            table.add_row("", Text(f"and {len(mine) - len(shown)} more", style="dim"))
    return table


def chosen(segments: Sequence[Segment], count: int) -> list[Segment]:
    """Return the segments with most posts, and all that flip more often than the others beyond chance."""
    return [one for place, one in enumerate(segments) if place < count or is_hot(one)]


def _segment(one: Segment) -> tuple[Text, str, str, Text, Text, Text]:
    style = "" if one.claimed else "dim"
    mark = Text("too few posts to say", style="dim")
    if one.claimed:
        said = ["flips more than elsewhere"] if is_hot(one) else []
        if leans(one):
            said.append("leans")
        mark = Text(", ".join(said), style="yellow")
    return (
        Text(name_of(one), style=style),
        f"{one.posts:,}",
        f"{one.flips:,}",
        Text(percent(one.share).replace("%", "") if one.claimed else "", style=style),
        Text(shift_of_rates(one.changes) if one.claimed else "", style=style),
        mark,
    )


def _moved(console: Console, post: Moved) -> None:
    left, right = (f"{plain(side.label)} {side.probabilities[side.label]:.2f}" for side in (post.left, post.right))
    line = Text.assemble(
        (f"{post.distance:.3f}  ", "bold"),
        harmless(post.task),
        f"  {harmless(left)} \u2192 {harmless(right)}  ",
        ("flips" if post.flipped else "same label", "yellow" if post.flipped else "dim"),
        (f"  {harmless(post.post_id, 60)}", "dim"),
    )
    if post.source is not None:
        source = post.source
        line.append(f"  {harmless(source.topic)}[{source.partition}]@{source.offset}", style="dim")
    if post.other_flips:
        line.append(f"  also flips: {harmless(', '.join(post.other_flips))}", style="yellow")
    console.print(line)
    if post.text:
        console.print(Text(f"       {harmless(post.text, _TEXT)}"))
    if post.explanations is not None:
        _explained(console, post.task, post.explanations)


def _explained(console: Console, task: str, explanations: Explanations) -> None:
    for name, document in (("left", explanations.left), ("right", explanations.right)):
        if document is None:
            continue
        words = counted_words(document, task)
        said = ", ".join(f"{harmless(word, 40)} {change:+.2f}" for word, change in words[:_WORDS])
        console.print(Text(f"       {name + ':':<6} {said or 'no single word moves it'}", style="dim"))


def counted_words(document: Mapping[str, object], task: str) -> list[tuple[str, float]]:
    """Return the words without which the label's probability changes most, with how much they add to it."""
    labels, text = document["labels"], document["text"]
    if not isinstance(labels, dict) or not isinstance(text, dict) or task not in labels:
        return []
    label = labels[task]["label"]
    without = document["without_words"]
    found = [
        (text["words"][one["index"]]["word"], -one["changes"][task][label])
        for one in (without if isinstance(without, list) else [])
    ]
    return sorted(((word, change) for word, change in found if abs(change) >= 0.005), key=lambda one: -abs(one[1]))
