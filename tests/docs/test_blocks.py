"""Every command of the documentation does what its page says, and answers what its page shows."""

import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.docs.doubles import DOUBLES
from tests.docs.pages import ROOT, blocks, odd_fences, pages
from tests.docs.playing import QUICK, WITH_COMMANDS, played
from tests.docs.scenarios import SCENARIOS
from worker.commands.options import setting_variables

_OF_THE_SCENE = {"moderate", "mmorient", "python"}
_OF_BASH = {".", "cd", "export", "for", "unset", "until", "wait", "while"}


def test_every_page_with_commands_has_a_scenario_and_every_scenario_its_page() -> None:
    """No command is passed over in silence."""
    assert set(WITH_COMMANDS) == set(SCENARIOS)


def test_commands_and_answers_stand_in_blocks_of_their_own() -> None:
    """Commands in ```sh, to be copied; what they answer in ```output right behind, which looks another way."""
    assert {page: odd for page in pages() if (odd := odd_fences((ROOT / page).read_text(encoding="utf-8")))} == {}


def test_what_is_parsed_alone_is_run_by_a_test_that_exists() -> None:
    """A command of minutes is not played; where it is run instead is named."""
    named = {path for scenario in SCENARIOS.values() for path in scenario.parsed.values()}
    assert {path for path in named if not (ROOT / path).is_file()} == set()


def test_every_command_is_one_that_can_be_played() -> None:
    """Of the project, of a bare machine or of bash, or it has a double: no page is played to learn that."""
    played = {*DOUBLES, *_OF_THE_SCENE, *_OF_BASH}
    unknown = {
        (page, word)
        for page in WITH_COMMANDS
        for block in blocks(page)
        for command in block.commands
        if (word := program(command)) not in played and shutil.which(word) is None
    }
    assert unknown == set()


def program(command: str) -> str:
    """Return the program that a command begins with, behind the variables that it sets."""
    words = command.replace("\\\n", " ").split()
    return next(word for word in words if not re.match(r"\w+=", word))


def test_the_settings_that_a_page_counts_are_all_that_there_are() -> None:
    """Without the servers that the page needs: a new setting is noticed here."""
    said = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    assert {int(count) for count in re.findall(r"of (\d+) settings are given", said)} == {len(setting_variables())}


@pytest.mark.model
@pytest.mark.parametrize("page", QUICK)
def test_what_a_page_shows_without_a_server_is_answered(page: str, tmp_path: Path) -> None:
    """Numbers to their last digit."""
    for one, block in played(page, tmp_path, quick=True):
        one.play(block)


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_a_page_can_be_followed(page: str) -> None:
    """Its commands, in their order in one terminal, end as it says and answer what it shows."""
    # Of a short name, as a reader's is: lines that name it would be broken otherwise.
    with TemporaryDirectory() as folder:
        for one, block in played(page, Path(folder), quick=False):
            one.play(block)


def test_most_pages_show_what_is_compared() -> None:
    """A page whose answers were taken away would pass for ever."""
    shown = [block for page in pages() for block in blocks(page) if block.shown]
    assert len(shown) >= 30
