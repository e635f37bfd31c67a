"""A page played from its top to its end, or as far as it needs no server."""

from collections.abc import Iterator
from pathlib import Path

from tests.docs.pages import Block, blocks, pages
from tests.docs.scenarios import SCENARIOS, WITHOUT_SERVER
from tests.docs.scene import Scene, scene

WITH_COMMANDS = [page for page in pages() if blocks(page)]
QUICK = [page for page in WITH_COMMANDS if SCENARIOS[page].quick]


def played(page: str, folder: Path, *, quick: bool) -> Iterator[tuple[Scene, Block]]:
    """Give a page's blocks, each in the scene in which it is to be played.

    Args:
        page: path in the repository.
        folder: an empty one.
        quick: only the blocks that `make test` plays, without what only the others take for granted.
    """
    scenario = SCENARIOS[page]
    with scene(folder, scenario) as one:
        for prepare in scenario.before:
            if not quick or prepare in WITHOUT_SERVER:
                prepare(one)
        for block in blocks(page):
            if not quick or is_quick(block):
                yield one, block
        named = {*scenario.ahead, *scenario.replaced, *scenario.statuses, *scenario.parsed, *scenario.silent}
        assert quick or named <= one.used, f"not on the page any more: {named - one.used}"


def is_quick(block: Block) -> bool:
    """Return whether `make test` plays a block."""
    starts = tuple(SCENARIOS[block.page].quick)
    return bool(starts) and all(command.startswith(starts) for command in block.commands)
