"""`python -m docs.generate.outputs`: play pages of the documentation and write what the commands answer into them.

Parts that a page leaves out (`…`) stay left out. Without pages, those that need no server are played; `--all` plays
all of them, in about twenty minutes. `git diff` then shows what has changed; prose that quotes a number is yours.
"""

import sys
import tempfile
from pathlib import Path

import click

from tests.docs.answers import differs, missing, renewed
from tests.docs.pages import ROOT, Block, blocks
from tests.docs.playing import WITH_COMMANDS, played
from tests.docs.scenarios import SCENARIOS


def written(page: str, *, quick: bool) -> tuple[int, int, list[str]]:
    """Play a page and write its answers anew; return how many were compared, how many were other ones, what failed."""
    compared, failures = 0, []
    answers: list[tuple[Block, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for scene, block in played(page, Path(folder), quick=quick):
            answer = scene.answer(block)
            if not block.shown or answer is None:
                continue
            compared += 1
            varies = SCENARIOS[page].varies
            if scene.is_unordered(block):
                # Which of its lines are shown, and in which order, is the page's.
                if wrong := missing(block.shown, answer, varies):
                    failures.append(f"{block}: {wrong}")
            elif differs(block.shown, answer, varies):
                try:
                    answers.append((block, renewed(block.shown, answer, varies)))
                except ValueError as error:
                    failures.append(f"{block}: {error}")
    text = (ROOT / page).read_text(encoding="utf-8")
    for block, answer in reversed(answers):
        start, end = block.span
        text = f"{text[:start]}{answer}{text[end:]}"
    (ROOT / page).write_text(text, encoding="utf-8")
    return compared, len(answers), failures


@click.command(help=__doc__)
@click.argument("pages", nargs=-1, type=click.Choice(WITH_COMMANDS))
@click.option("--all", "everything", is_flag=True, help="also the pages that need a Kafka")
@click.option("--quick", is_flag=True, help="of each page only the blocks that `make test` plays")
def main(*, pages: tuple[str, ...], everything: bool, quick: bool) -> None:
    """Write the outputs of pages anew."""
    chosen = pages or [page for page in WITH_COMMANDS if everything or (SCENARIOS[page].quick and quick)]
    chosen = chosen or [page for page in WITH_COMMANDS if not SCENARIOS[page].servers]
    failed = False
    for page in chosen:
        try:
            compared, changed, failures = written(page, quick=quick)
        except (AssertionError, TimeoutError) as error:
            click.echo(f"{page}: is as it was, because it cannot be played: {error}", err=True)
            failed = True
            continue
        failed = failed or bool(failures)
        shown = sum(bool(block.shown) for block in blocks(page))
        click.echo(f"{page}: {compared} of {shown} answers compared, {changed} written anew")
        for failure in failures:
            click.echo(failure, err=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
