"""Where a report goes: to a terminal, a program, a page."""

import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console

from worker.commands.diff.compare.report import Report
from worker.commands.diff.show.terminal import print_report
from worker.errors import FatalError

_LIVE_MOVED = 5


@dataclass(frozen=True)
class Show:
    """Shows reports.

    Args:
        as_json: whether to print JSON.
        html: the page to write; None for none.
    """

    as_json: bool
    html: Path | None

    def one(self, report: Report) -> None:
        """Show one of several reports: on a cleared screen, as a line of JSON, or as a line of a log."""
        if self.as_json:
            click.echo(report.json_text())
        elif sys.stdout.isatty():
            console = _console()
            console.clear()
            print_report(report, console, moved=_LIVE_MOVED)
            click.echo(f"\n{datetime.now().astimezone():%H:%M:%S}, following: Ctrl-C ends it")
        else:
            click.echo(f"{report.posts.joined:,} posts joined. {report.verdict}")
        sys.stdout.flush()

    def last(self, report: Report) -> None:
        """Show the last report, or the only one.

        Raises:
            FatalError: the page cannot be written.
        """
        if self.as_json:
            click.echo(report.json_text())
        else:
            print_report(report, _console())
        if self.html is not None:
            from worker.commands.diff.show.html import page

            try:
                self.html.write_text(page(report), encoding="utf-8")
            except OSError as error:
                raise FatalError(f"{self.html}: {error}") from error
            click.echo(f"wrote {self.html}", err=True)


def _console() -> Console:
    # In a file, the usual width of a terminal would fold tables of figures.
    width = None if sys.stdout.isatty() else 140
    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False, width=width)
