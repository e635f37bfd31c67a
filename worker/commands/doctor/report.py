"""Findings as lines for a person and as JSON for a program; secrets in neither."""

import json
import os
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from rich.console import Console
from rich.text import Text

from worker.commands.doctor.findings import Finding
from worker.secrets import is_secret

_MARKS = {"ok": "✓", "warning": "!", "failure": "✗", "skipped": "-"}
_STYLES = {"ok": "green", "warning": "yellow", "failure": "bold red", "skipped": "dim"}
_NARROWEST = 40
_HIDDEN = "…"
# What the check of the port says where the worker in question has begun already.
RUNS_ALREADY = "a worker runs here and answers"
_SHORTEST_SECRET = 3  # a shorter one would blot out parts of words


def secrets_in(values: Mapping[str, str | None]) -> set[str]:
    """Return what of settings must not be shown: passwords, by themselves and within addresses.

    Args:
        values: settings by the name of their variable.
    """
    found: set[str] = set()
    for name, value in values.items():
        if not value:
            continue
        if is_secret(name) and not name.upper().endswith(("_FILE", "REDIS__URL", "PROXY")):
            found.add(value)
        # Up to its last @: in an address that cannot be read, the end of the password is not known.
        password = value.partition("://")[2].rpartition("@")[0].partition(":")[2]
        if password:
            found |= {password, unquote(password)}
    return {secret for secret in found if len(secret) >= _SHORTEST_SECRET}


def without(findings: Iterable[Finding], secrets: Iterable[str]) -> Iterator[Finding]:
    """Yield findings with every secret blotted out."""
    ordered = sorted(secrets, key=len, reverse=True)

    def clean(text: str) -> str:
        for secret in ordered:
            text = text.replace(secret, _HIDDEN)
        return text

    for finding in findings:
        yield Finding(finding.check, finding.status, clean(finding.says), finding.remedy and clean(finding.remedy))


def summary_of(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return how many there are of each status, and whether a worker would run."""
    counts = Counter(finding.status for finding in findings)
    return {
        "ok": counts["ok"],
        "warnings": counts["warning"],
        "failures": counts["failure"],
        "skipped": counts["skipped"],
        "would_run": not counts["failure"],
    }


def as_json(findings: Sequence[Finding]) -> str:
    """Return one JSON object: `findings` in their order, and `summary`."""
    entries = [{"check": one.check, "status": one.status, "says": one.says, "remedy": one.remedy} for one in findings]
    return json.dumps({"findings": entries, "summary": summary_of(findings)}, ensure_ascii=False)


def print_findings(findings: Sequence[Finding], console: Console) -> None:
    """Print one line a finding, its remedy under it, and a summary last."""
    rows = list(_rows(findings))
    width = max((len(name) for _, _, name, *_ in rows), default=0)
    for status, mark, name, says, remedy in rows:
        style = _STYLES[status]
        head = Text(f"{mark} {status:<7}  ", style) + Text(f"{name:<{width}}  ", "bold" if status == "failure" else "")
        indent = " " * len(head)
        room = max(_NARROWEST, console.width - len(indent))
        for number, line in enumerate(textwrap.wrap(says, room)):
            console.print((Text(indent) if number else head) + Text(line), soft_wrap=True)
        for number, line in enumerate(textwrap.wrap(remedy or "", room - 2)):
            console.print(Text(f"{indent}{'  ' if number else '→ '}{line}", style), soft_wrap=True)
    console.print()
    console.print(_summary(findings))


def open_console() -> Console:
    """Return standard output: as wide as the terminal is, and without a limit where it is none."""
    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        # A line is a finding for whoever searches a log.
        console.width = 10_000
    return console


def _rows(findings: Sequence[Finding]) -> Iterator[tuple[str, str, str, str, str | None]]:
    """Yield status, mark, name, words and remedy of each line; skipped ones of one area and cause share one."""
    skipped = Counter((one.area, one.says) for one in findings if one.status == "skipped")
    for one in findings:
        count = skipped.get((one.area, one.says), 0)
        if one.status != "skipped" or count == 1:
            yield one.status, _MARKS[one.status], one.check, one.says, one.remedy
        elif count:
            del skipped[one.area, one.says]
            yield one.status, _MARKS[one.status], f"{one.area}.*", f"{count} checks: {one.says}", None


def _summary(findings: Sequence[Finding]) -> Text:
    found = summary_of(findings)
    parts = [
        _counted(found["failures"], "failure"),
        _counted(found["warnings"], "warning"),
        f"{found['ok']} ok",
        f"{found['skipped']} skipped" if found["skipped"] else "",
    ]
    said = ", ".join(part for part in parts if part)
    if found["failures"]:
        return Text(f"{said}: this worker would not run", "bold red")
    runs = any(RUNS_ALREADY in one.says for one in findings if one.check == "machine.port")
    verdict = "a worker with these settings runs here, a second one would not" if runs else "this worker would run"
    return Text(f"{said}: {verdict}", "yellow" if found["warnings"] else "green")


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}" if count else ""
