"""An explanation for a person at a terminal: colours only there, lines no wider than it is."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mmorient.explain.case import Case
from mmorient.explain.heatmap import RegionReading
from mmorient.explain.neighbours import Nearest
from mmorient.explain.strength import strengths
from mmorient.explain.visible import short, visible
from mmorient.explain.without import Without
from mmorient.explain.words import TextReading
from mmorient.labels import TASKS, TaskLabel

_SHADES = "\u00b7\u2591\u2592\u2593\u2588"
_BAR_CELLS = 20
_LISTED_WORDS = 8


def print_case(case: Case, console: Console) -> None:
    """Print an explanation."""
    explanation, model = case.explanation, case.explanation.model
    stamp = f"{model.name} {model.checkpoint[:19]}  {model.precision}  graph context {model.graph_context}"
    console.print(Text.assemble((visible(case.line.id), "bold"), "  ", (stamp, "dim")))
    for lost in case.line.unavailable:
        console.print(Text(f"medium {int(lost['index']) + 1} could not be used: {lost['reason']}", style="yellow"))
    _heading(console, "Labels")
    console.print(_labels(case))
    if explanation.text is not None:
        _words(case, explanation.text, console)
    for medium, reading in zip(case.media, explanation.pictures, strict=True):
        _regions(medium, reading, console)
    for what, near in (("text", explanation.near_text), ("picture", explanation.near_picture)):
        if near is not None:
            _neighbours(case, what, near, console)
    _heading(console, "Without", "how the probability of each label moves when a part is taken away")
    console.print(_without(case))


def _heading(console: Console, title: str, note: str = "") -> None:
    console.print()
    console.print(Text.assemble((title, "bold underline"), (f"  {note}" if note else "", "dim")))


def _table(*columns: str) -> Table:
    table = Table(box=None, show_header=bool(columns), padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _labels(case: Case) -> Table:
    table = _table()
    for task, label in case.explanation.labels.tasks.items():
        table.add_row(task, _probabilities(label))
    return table


def _probabilities(label: TaskLabel) -> Text:
    text = _shares(label.probabilities, label.label)
    if label.threshold is not None:
        text.append(f"  threshold\u00a0{label.threshold:g}", style="yellow")
    if label.intensity is not None:
        text.append("\n")
        text.append_text(_shares(label.intensity.probabilities, label.intensity.label))
    return text


def _shares(probabilities: Mapping[str, float], chosen: str) -> Text:
    """The chosen class first; a no-break space keeps a name and its number on one line."""
    ordered = sorted(probabilities, key=lambda name: name != chosen)
    return Text("  ").join(
        Text(f"{name}\u00a0{probabilities[name]:.4f}", style="bold" if name == chosen else "dim") for name in ordered
    )


def _words(case: Case, reading: TextReading, console: Console) -> None:
    note = "" if case.own_text else "drawn over the picture; "
    windows = f"read in {reading.windows} windows; " if reading.windows > 1 else ""
    _heading(console, "Words", f"{note}{windows}the same attention serves every task")
    levels = dict(zip(reading.read, strengths([word.attention or 0.0 for word in reading.read]), strict=True))
    shown = Text()
    for word in reading.words:
        style = "strike dim" if word.attention is None else _heat(levels[word])
        shown.append(visible(word.text), style=style).append(" ")
    console.print(shown)
    if not reading.read:
        console.print(Text("nothing of this text can be read", style="yellow"))
        return
    table = _table()
    top = reading.read[0].attention or 1.0
    for word in reading.read[:_LISTED_WORDS]:
        share = word.attention or 0.0
        read_as = f"read as \u201c{short(word.read_as)}\u201d" if word.read_as != word.text.lower() else ""
        bar = Text("\u2588" * round(_BAR_CELLS * share / top), style="orange3")
        table.add_row(f"{share:6.1%}", short(word.text), bar, read_as)
    console.print(table)
    rest = len(reading.read) - _LISTED_WORDS
    if rest > 0:
        share = sum(word.attention or 0.0 for word in reading.read[_LISTED_WORDS:])
        console.print(Text(f"{share:6.1%}  {rest} other word{'s' if rest > 1 else ''}", style="dim"))
    if unread := [visible(word.text) for word in reading.words if word.attention is None]:
        console.print(Text(f"not read: {' '.join(unread)}", style="dim"))


def _heat(strength: float) -> str:
    """A background from nothing to orange; dark letters on it, as no terminal's own colour is known."""
    if strength < 0.05:
        return ""
    red, green, blue = (round(low + (high - low) * strength) for low, high in ((255, 249), (236, 142), (200, 9)))
    return f"black on rgb({red},{green},{blue})"


def _regions(medium: int, reading: RegionReading, console: Console) -> None:
    _heading(console, "Regions", f"medium {medium + 1}, {reading.width} x {reading.height} pixels")
    if reading.grid is None:
        console.print(Text("these regions have no fixed place on a picture", style="dim"))
        return
    levels = strengths(reading.shares)
    columns = reading.grid[1]
    for start in range(0, len(levels), columns):
        row = Text()
        for level in levels[start : start + columns]:
            row.append(_SHADES[min(4, round(level * 4))] * 2, style="orange3" if level > 0 else "dim")
        console.print(row)
    console.print(
        Text(f"most looked at: {reading.peak:.1f} times an even share; dots are about even or less", style="dim")
    )


def _neighbours(case: Case, what: str, near: Nearest, console: Console) -> None:
    threshold = case.explanation.threshold
    used = "" if case.explanation.model.graph_context == "bank" else ", which this graph context leaves out"
    note = f"{near.in_graph} of {near.candidates} reference posts are neighbours (cosine over {threshold:g}){used}"
    _heading(console, f"Nearest by {what}", note)
    table = _table("a post that is known to be", "cosine", "number")
    for post in near.posts:
        mark = " *" if post.in_graph else ""
        # The bank holds no texts: what is known of a post is its labels, and its number tells it from others.
        table.add_row(post.known, f"{post.cosine:.4f}{mark}", Text(str(post.reference), style="dim"))
    console.print(table)


def _without(case: Case) -> Table:
    table = _table("", *TASKS)
    whole = case.explanation.labels.tasks
    table.add_row(Text("whole post", style="dim", no_wrap=True), *(f"{_chosen(whole[task]):.2f}" for task in TASKS))
    for without in (*case.explanation.without, *case.explanation.without_words):
        name = Text(case.name(without.removal))
        if without.nothing_left:
            name.append("\n(leaves nothing)", style="dim")
        table.add_row(name, *(_move(case, without, task) for task in TASKS))
    return table


def _chosen(label: TaskLabel) -> float:
    return label.probabilities[label.label]


def _move(case: Case, without: Without, task: str) -> Text:
    change = round(case.change(without, task), 2) + 0.0  # no "-0.00"
    flipped = case.flips(without, task)
    text = Text(f"{change:+.2f}", style="bold" if flipped else "dim" if change == 0 else "")
    return text if flipped is None else text.append(f"\n{flipped}", style="yellow")
