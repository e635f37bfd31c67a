"""The figures of precision as tables in Markdown."""

from collections.abc import Mapping
from typing import Any

PUBLISHED = ("sentiment", "sarcasm", "offensiveness")
"""The tasks whose labels are published unless an operator asks for more."""


def show(data: Mapping[str, Any]) -> str:
    """Return the tables in Markdown."""
    lines = [
        (
            f"{data['date']}, {data['machine']}; {data['posts']:,} posts, {data['pictures']:,} of them with a picture, "
            f"{data['validation']:,} of validation splits; precisions by turns, {data['kind']}."
        ),
        "",
        (
            "| | texts a second | ÷ fp32 (by processor time) | pictures a second | ÷ fp32 (by processor time) "
            "| posts with another label: three tasks, five | largest difference of a probability, mean |"
        ),
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in data["precisions"].items():
        cells = [cell for what in ("texts", "pictures") for cell in _speed(row.get(what))]
        flips = f"{row['published']['flipped']:.2%}, {row['all']['flipped']:.2%}"
        lines.append(
            f"| {name} | {' | '.join(cells)} | {flips} | {row['all']['largest']:.4f}, {row['all']['mean']:.4f} |"
        )
    lines += ["", "Macro-F1, percent, of the validation posts:", "", f"| | {' | '.join(PUBLISHED)} |"]
    lines.append("|---|---|---|---|")
    for name, row in data["precisions"].items():
        cells = [f"{row['macro_f1'][task]:.2f}" if task in row["macro_f1"] else "" for task in PUBLISHED]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _speed(one: Mapping[str, float] | None) -> list[str]:
    if one is None:
        return ["", ""]
    return [f"{one['a_second']:,.0f}", f"{one['times_fp32']:.2f} ({one['times_fp32_by_processor']:.2f})"]
