"""What the demo shows: a line for each post as its labels arrive, and the summary."""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

_TITLE_CELLS = 46
_STYLES = {"negative": "red", "positive": "green", "sarcastic": "yellow", "offensive": "red bold"}
_TASKS = ("sentiment", "sarcasm", "offensiveness")
_IN_VAIN = {"fetch_failed", "fetch_timeout"}
_LABEL_CELLS = {"sentiment": 15, "sarcasm": 20, "offensiveness": 20}


@dataclass
class Row:
    """One post on its way to the table."""

    title: str
    pictures: int
    labels: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether all three labels are there."""
        return all(task in self.labels for task in _TASKS)

    @property
    def waited_for_a_picture(self) -> bool:
        """Whether a picture was fetched until its time was over, and in vain."""
        reasons = {one["reason"] for label in self.labels.values() for one in label["unavailable"]}
        return not reasons.isdisjoint(_IN_VAIN)

    def add(self, value: bytes) -> None:
        """Take in one label record."""
        label = json.loads(value)
        self.labels[label["task"]] = label


def print_header(console: Console) -> None:
    """Print the table's head."""
    cells = [
        set_cell_size("post", _TITLE_CELLS),
        "pic",
        *(set_cell_size(task, _LABEL_CELLS[task]) for task in _TASKS),
    ]
    console.print(Text("  ".join(cells), style="bold"), soft_wrap=True)


def print_row(console: Console, row: Row) -> None:
    """Print one labelled post."""
    first = next(iter(row.labels.values()))
    missing = len(first["unavailable"])
    seen = max(0, row.pictures - missing)
    mark = ("▣" * min(seen, 3) if seen else "") + ("✗" if missing else "")
    line = Text(_fit(row.title, _TITLE_CELLS) + "  " + set_cell_size(mark, 3))
    for task in _TASKS:
        label = row.labels[task]
        cell = f"{label['label']} {label['probabilities'][label['label']]:.2f}"
        line.append("  ")
        line.append(set_cell_size(cell, _LABEL_CELLS[task]), style=_STYLES.get(label["label"], ""))
    console.print(line, soft_wrap=True)


def print_dead_letter(console: Console, title: str, stage: str, message: str) -> None:
    """Print one dead letter."""
    line = Text(_fit(title, _TITLE_CELLS) + "       ", style="dim")
    line.append(f"dead letter, {stage}: {' '.join(message.split())}"[:90])
    console.print(line, soft_wrap=True)


def _fit(text: str, cells: int) -> str:
    # Right-to-left text would turn the line's columns around on a terminal.
    flat = "".join(" " if unicodedata.category(mark) in {"Cc", "Cf"} else mark for mark in " ".join(text.split()))
    if cell_len(flat) > cells:
        flat = set_cell_size(flat, cells - 1).rstrip() + "…"
    return set_cell_size(flat, cells)
