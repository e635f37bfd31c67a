"""Every command of the documentation does what its page says: each page is played from its top to its end."""

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks, pages
from tests.docs.scenarios import SCENARIOS
from tests.docs.scene import scene

pytestmark = pytest.mark.soak

WITH_COMMANDS = [page for page in pages() if blocks(page)]


def test_every_page_with_commands_has_a_scenario_and_every_scenario_its_page() -> None:
    """No command is passed over in silence."""
    assert set(WITH_COMMANDS) == {page for page in SCENARIOS if (ROOT / page).exists()}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_a_page_can_be_followed(page: str, tmp_path: Path) -> None:
    """Its commands, in their order in one terminal, end as it says and answer what it shows."""
    scenario = SCENARIOS[page]
    with scene(tmp_path, scenario) as one:
        for prepare in scenario.before:
            prepare(one)
        for block in blocks(page):
            one.play(block)
        named = {*scenario.ahead, *scenario.replaced, *scenario.statuses, *scenario.parsed}
        assert named <= one.used, f"not on the page any more: {named - one.used}"
