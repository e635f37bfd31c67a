"""The check of the layout finds what it is there for, in spoiled copies of the tree."""

import shutil
from pathlib import Path

import pytest

from tests.layout import PACKAGES, PAGE, Tree
from tests.test_layout import ALLOWED, BASICS, ROOT, tree_at


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Give a copy of the sources, to spoil."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("checkpoints", "*.json"))
    (tmp_path / PAGE).parent.mkdir()
    shutil.copy(ROOT / PAGE, tmp_path / PAGE)
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        "from worker.intake.lane import Lane\n",
        "import worker.intake.lane\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from worker.intake import lane\n",
        "def late():\n    from worker.intake.lane import Lane\n",
    ],
)
def test_an_import_against_the_walls_fails(copy: Path, line: str) -> None:
    """Wherever in the file it stands."""
    with (copy / "worker/output/records.py").open("a", encoding="utf-8") as file:
        file.write(line)
    (problem,) = tree_at(copy).problems()
    assert problem == "worker/output/records.py (worker/output) may not import worker/intake/lane.py (worker/intake)"


def test_a_circle_of_files_fails(copy: Path) -> None:
    """Within one folder, where the table says nothing, and though it is hidden in a function."""
    with (copy / "worker/intake/window.py").open("a", encoding="utf-8") as file:
        file.write("def late():\n    from worker.intake.lane import Lane\n")
    (problem,) = tree_at(copy).problems()
    assert problem.startswith("files import each other: ")
    assert {"worker/intake/window.py", "worker/intake/lane.py"} <= set(problem.split(": ")[1].split(" -> "))


def test_a_table_with_a_circle_fails(copy: Path) -> None:
    """The folders of a circle cannot be read from top to bottom."""
    allowed = ALLOWED | {"worker/broker": ALLOWED["worker/broker"] | {"worker/intake"}}
    problems = Tree(copy, allowed, BASICS).problems()
    assert any(problem.startswith("the table has a circle: ") for problem in problems)


def test_a_page_with_another_table_fails(copy: Path) -> None:
    """A reader of the page must see what holds."""
    text = (copy / PAGE).read_text(encoding="utf-8")
    row = "| `worker/intake` | `worker/broker`, `worker/telemetry` |\n"
    assert row in text
    (copy / PAGE).write_text(text.replace(row, "| `worker/intake` | `worker/broker` |\n"), encoding="utf-8")
    assert tree_at(copy).problems() == [f"{PAGE} shows another row of worker/intake: {{'worker/broker'}}"]


def test_a_folder_without_a_row_fails(copy: Path) -> None:
    """A folder that is added gets a row of its own; until then that of the folder around it holds."""
    (copy / "worker/commands/serve").mkdir()
    (copy / "worker/commands/serve/cli.py").write_text("import worker.service\n", encoding="utf-8")
    (problem,) = tree_at(copy).problems()
    assert (
        problem == "worker/commands/serve/cli.py (worker/commands) may not import worker/service.py (worker/service.py)"
    )
