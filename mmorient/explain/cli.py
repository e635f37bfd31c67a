"""``mmorient explain``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmorient.commands.model_options import load_moderator, model_options, refuse_missing, threshold_option
from mmorient.commands.usage import HTML_ENDINGS, wrong_ending
from mmorient.errors import PostError

if TYPE_CHECKING:
    from mmorient.explain.case import Case


class _WrongUsage(click.ClickException):
    """Wrong usage, said in one line."""

    exit_code = 2


class _OneLine(click.Command):
    """A command that says what is wrong with its options in one line, without its usage beside it."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as error:
            hint = f"; see `{error.ctx.command_path} --help`" if error.ctx else ""
            raise _WrongUsage(f"{error.format_message().rstrip('.')}{hint}") from error


@click.command(cls=_OneLine)
@click.argument("file", metavar="POST.json", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True))
@model_options
@threshold_option
@click.option("--neighbours", type=click.IntRange(min=0), default=5, show_default=True, help="Reference posts to name.")
@click.option(
    "--words",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="Most attended words to take away, each alone.",
)
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page that needs no other file.")
@click.option(
    "--heatmap",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the picture with its heat map as PNG; further pictures to NAME-2.png, NAME-3.png.",
)
def explain(
    *, file: Path, neighbours: int, words: int, as_json: bool, html: Path | None, heatmap: Path | None, **options: Any
) -> None:
    """Say why the post in POST.json (- is standard input) has its labels.

    Which words and regions the model looked at, the nearest posts of the reference bank with their known labels, and
    how each answer moves without the text, without each picture, without a word. A medium is {"data": base64} or
    {"path": "a.jpg"}, relative to POST.json; nothing is fetched.
    """
    standard = str(file) == "-"
    _check(file, options["checkpoint"], html, heatmap)
    post = click.get_binary_stream("stdin").read() if standard else file.read_bytes()
    from mmorient.explain.case import read_case

    moderator = load_moderator(options)
    folder = Path() if standard else file.parent
    try:
        case = read_case(post, folder, moderator, neighbours=neighbours, words=words)
    except PostError as error:
        raise PostError(f"{'standard input' if standard else file}: {error}") from error
    try:
        written = _write(case, html, heatmap)
    except OSError as error:
        raise click.ClickException(str(error)) from error
    _print(case, as_json=as_json)
    for path in written:
        click.echo(f"wrote {path}", err=True)


def _check(file: Path, checkpoint: Path | None, html: Path | None, heatmap: Path | None) -> None:
    """Refuse what cannot work before torch is loaded, which takes seconds."""
    if str(file) != "-" and not file.is_file():
        raise _WrongUsage(f"{file}: no such file")
    refuse_missing(checkpoint)
    for path in (html, heatmap):
        if path is not None and not path.parent.is_dir():
            raise _WrongUsage(f"{path}: no such folder")
    if html is not None and (said := wrong_ending(html, HTML_ENDINGS)):
        raise _WrongUsage(f"--html: {said}")
    if heatmap is not None and heatmap.suffix.lower() != ".png":
        raise _WrongUsage(f"{heatmap}: a heat map is written as .png")


def _write(case: Case, html: Path | None, heatmap: Path | None) -> list[Path]:
    files: dict[Path, bytes] = {}
    if heatmap is not None:
        from mmorient.explain.heatmap import heat_map, png

        readings = case.explanation.pictures
        if not readings:
            raise PostError(f"{case.line.id!r} has no picture to draw a heat map over")
        if any(reading.grid is None for reading in readings):
            raise PostError("the regions of this checkpoint's encoder have no fixed place on a picture")
        for index, reading in enumerate(readings):
            path = heatmap if index == 0 else heatmap.with_stem(f"{heatmap.stem}-{index + 1}")
            files[path] = png(heat_map(reading, case.picture(index)))
    if html is not None:
        from mmorient.explain.html import page

        files[html] = page(case).encode()
    for path, content in files.items():
        path.write_bytes(content)
    return list(files)


def _print(case: Case, *, as_json: bool) -> None:
    if as_json:
        from mmorient.explain.document import document

        click.echo(json.dumps(document(case), ensure_ascii=False, indent=2))
        return
    from rich.console import Console

    from mmorient.explain.terminal import print_case

    print_case(case, Console(file=sys.stdout, highlight=False, markup=False, emoji=False))
