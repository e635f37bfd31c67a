"""The walls between the folders: who may import whom, by one table that `docs/architecture.md` shows too."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("schemas", "mmorient", "worker")
PAGE = Path("docs/architecture.md")

# What all files of a package may import.
MODEL_BASICS = "mmorient/{config,digest,errors,labels,package_files,reference}.py"
WORKER_BASICS = "worker/{errors,items,rate_limit,retry,settings,watchdog}.py"
BASICS = {"mmorient": MODEL_BASICS, "worker": WORKER_BASICS}

# A row holds for the files that no longer row holds for. Each row: what its files may import of this project besides
# themselves and the basics of their package; a folder stands for what no row of its own stands for.
ALLOWED: dict[str, set[str]] = {
    "schemas": set(),
    MODEL_BASICS: set(),
    "mmorient/input": set(),
    "mmorient/encoders": {"mmorient/input"},
    "mmorient/network": {"mmorient/encoders", "mmorient/input"},
    "mmorient/checkpointing": {"mmorient/encoders", "mmorient/input", "mmorient/network"},
    "mmorient/moderator.py": {"mmorient/checkpointing", "mmorient/encoders", "mmorient/input", "mmorient/network"},
    "mmorient/commands": {"mmorient/moderator.py"},
    "mmorient/explain": {"mmorient/commands", "mmorient/input", "mmorient/moderator.py"},
    "mmorient/archive": {"mmorient/checkpointing", "mmorient/commands", "mmorient/input", "mmorient/moderator.py"},
    "mmorient/training/config.py": set(),
    "mmorient/training/data": {"mmorient/encoders", "mmorient/input", "mmorient/moderator.py", "mmorient/network"},
    "mmorient/training/fitting": {
        "mmorient/checkpointing",
        "mmorient/encoders",
        "mmorient/input",
        "mmorient/network",
        "mmorient/training/config.py",
        "mmorient/training/data",
    },
    "mmorient/training/judging": {
        "mmorient/encoders",
        "mmorient/explain",
        "mmorient/input",
        "mmorient/moderator.py",
        "mmorient/network",
        "mmorient/training/data",
        "mmorient/training/fitting",
    },
    "mmorient/training": {
        "mmorient/checkpointing",
        "mmorient/commands",
        "mmorient/moderator.py",
        "mmorient/training/config.py",
        "mmorient/training/data",
        "mmorient/training/fitting",
        "mmorient/training/judging",
    },
    "mmorient": {
        "mmorient/archive",
        "mmorient/checkpointing",
        "mmorient/commands",
        "mmorient/explain",
        "mmorient/training",
    },
    "mmorient/__init__.py": {"mmorient/archive", "mmorient/explain", "mmorient/input", "mmorient/moderator.py"},
    WORKER_BASICS: {"mmorient/__init__.py", "schemas"},
    "worker/telemetry": {"mmorient/__init__.py"},
    "worker/broker": {"worker/telemetry"},
    "worker/intake": {"worker/broker", "worker/telemetry"},
    "worker/labelling/cache": {"mmorient/__init__.py", "worker/telemetry"},
    "worker/labelling": {
        "mmorient/__init__.py",
        "mmorient/input",
        "schemas",
        "worker/labelling/cache",
        "worker/telemetry",
    },
    "worker/labelling/speed.py": {"worker/labelling", "worker/telemetry"},
    "worker/output": {"mmorient/__init__.py", "schemas", "worker/telemetry"},
    "worker/isolation": {"worker/labelling", "worker/labelling/cache"},
    "worker/shadow": {
        "mmorient/__init__.py",
        "worker/broker",
        "worker/isolation",
        "worker/labelling",
        "worker/output",
        "worker/telemetry",
    },
    "worker/pipeline.py": {
        "worker/intake",
        "worker/isolation",
        "worker/labelling",
        "worker/output",
        "worker/telemetry",
    },
    "worker/service.py": {
        "mmorient/__init__.py",
        "schemas",
        "worker/broker",
        "worker/intake",
        "worker/isolation",
        "worker/labelling",
        "worker/output",
        "worker/pipeline.py",
        "worker/shadow",
        "worker/telemetry",
    },
    "worker/pages.py": {"worker/telemetry"},
    "worker/app.py": {"worker/intake", "worker/pages.py", "worker/service.py", "worker/telemetry"},
    "worker/commands/stack": set(),
    "worker/commands": {"worker/app.py", "worker/broker", "worker/commands/stack", "worker/telemetry"},
    "worker/commands/backfill": {
        "mmorient/__init__.py",
        "worker/app.py",
        "worker/broker",
        "worker/commands",
        "worker/intake",
        "worker/isolation",
        "worker/labelling/speed.py",
        "worker/telemetry",
    },
    "worker/commands/dead_letters": {"schemas", "worker/broker", "worker/commands", "worker/output"},
    "worker/commands/demo": {"schemas", "worker/broker", "worker/commands/stack", "worker/output"},
    "worker/commands/diff/read": {"mmorient/__init__.py", "mmorient/archive", "worker/broker"},
    "worker/commands/diff/compare": {"mmorient/__init__.py", "schemas", "worker/commands", "worker/commands/diff/read"},
    "worker/commands/diff/show": {"worker/commands", "worker/commands/diff/compare"},
    "worker/commands/diff": {
        "mmorient/__init__.py",
        "worker/broker",
        "worker/commands",
        "worker/commands/diff/compare",
        "worker/commands/diff/read",
        "worker/commands/diff/show",
    },
    "worker/commands/doctor": {
        "mmorient/__init__.py",
        "worker/broker",
        "worker/commands",
        "worker/commands/stack",
        "worker/isolation",
        "worker/telemetry",
    },
    "worker/commands/import_archive": {"mmorient/__init__.py", "worker/broker", "worker/commands"},
    "worker/commands/labels": {
        "mmorient/__init__.py",
        "worker/broker",
        "worker/commands",
        "worker/commands/dead_letters",
        "worker/output",
    },
    "worker": {
        "mmorient/commands",
        "worker/commands",
        "worker/commands/backfill",
        "worker/commands/dead_letters",
        "worker/commands/demo",
        "worker/commands/diff",
        "worker/commands/doctor",
        "worker/commands/import_archive",
        "worker/commands/labels",
        "worker/commands/stack",
    },
}
# Of other people's packages, what a folder and all below it may not import.
FORBIDDEN = {
    "schemas": {"aiokafka", "faust", "redis", "torch"},
    "mmorient": {"aiokafka", "faust", "redis"},
    "worker/labelling": {"aiokafka"},
    "worker/output": {"aiokafka"},
}
Graph = Mapping[str, set[str]]


@dataclass(frozen=True)
class Tree:
    """The sources below a folder, and the page about them.

    Args:
        root: the folder.
        allowed: the table.
    """

    root: Path
    allowed: Mapping[str, set[str]]

    def files(self) -> Iterator[str]:
        """Yield the paths of all sources."""
        for package in PACKAGES:
            yield from (str(path.relative_to(self.root)) for path in sorted((self.root / package).rglob("*.py")))

    def modules(self, file: str) -> Iterator[tuple[str, str | None]]:
        """Yield what a file imports, wherever in it: a module, and the name out of it where there is one."""
        for node in ast.walk(ast.parse((self.root / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((alias.name, None) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: imports are absolute"
                yield from ((node.module or "", alias.name) for alias in node.names)

    def file_of(self, module: str) -> str | None:
        """Return the file of a module of this project."""
        path = module.replace(".", "/")
        return next((one for one in (f"{path}.py", f"{path}/__init__.py") if (self.root / one).is_file()), None)

    def imports(self) -> dict[str, set[str]]:
        """Return the files that each file imports."""
        found: dict[str, set[str]] = {}
        for file in self.files():
            targets = {
                (name and self.file_of(f"{module}.{name}")) or self.file_of(module)
                for module, name in self.modules(file)
                if module.split(".")[0] in PACKAGES
            }
            assert None not in targets, f"{file} imports what is not there"
            found[file] = {target for target in targets if target} - {file}
        return found

    def problems(self) -> list[str]:
        """Return what is wrong with the tree, the table or the page."""
        imports = self.imports()
        return [
            *self.forbidden_imports(imports),
            *(f"files import each other: {' -> '.join(circle)}" for circle in circles(imports)),
            *(f"the table has a circle: {' -> '.join(circle)}" for circle in circles(self.allowed)),
            *self.differences_from_page(),
        ]

    def forbidden_imports(self, imports: Graph) -> Iterator[str]:
        """Yield the imports that the table does not allow."""
        for file, targets in imports.items():
            row = row_of(file, self.allowed)
            allowed = {row, BASICS.get(file.split("/")[0], row)} | self.allowed[row]
            for target in sorted(targets):
                if row_of(target, self.allowed) not in allowed:
                    yield f"{file} ({row}) may not import {target} ({row_of(target, self.allowed)})"

    def differences_from_page(self) -> Iterator[str]:
        """Yield the rows in which the page shows another table."""
        shown = table_of((self.root / PAGE).read_text(encoding="utf-8"))
        for row in sorted(shown.keys() | self.allowed.keys()):
            if shown.get(row) != self.allowed.get(row):
                yield f"{PAGE} shows another row of {row}: {shown.get(row)}"


def row_of(file: str, rows: Iterable[str]) -> str:
    """Return the most exact row that holds for a file."""
    holding = [row for row in rows if file in files_of(row) or file.startswith(f"{row}/")]
    assert holding, f"no row holds for {file}"
    return max(holding, key=lambda row: (file in files_of(row), len(row)))


def files_of(row: str) -> list[str]:
    """Return the files that a row names, such as `worker/{errors,items}.py`."""
    named = re.fullmatch(r"(.+)\{(.+)\}(.+)", row)
    return [f"{named[1]}{name}{named[3]}" for name in named[2].split(",")] if named else [row]


def circles(graph: Graph) -> list[list[str]]:
    """Return a circle of a graph, if there is one."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [error.args[1]]
    return []


def table_of(page: str) -> dict[str, set[str]]:
    """Return the table of imports that a page shows."""
    _, _, rest = page.partition("| folder or file | may import |\n")
    rows = rest.split("\n\n")[0].splitlines()[1:]
    cells = [[re.findall(r"`([^`]+)`", cell) for cell in row.strip("|").split("|")] for row in rows]
    return {names[0]: set(targets) for names, targets in cells}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Give a copy of the sources, to spoil."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("checkpoints", "*.json"))
    (tmp_path / PAGE).parent.mkdir()
    shutil.copy(ROOT / PAGE, tmp_path / PAGE)
    return tmp_path


def test_the_walls_hold() -> None:
    """Imports keep to the table, nothing imports in a circle, and the page shows the table."""
    assert Tree(ROOT, ALLOWED).problems() == []


def test_every_row_is_needed() -> None:
    """No row allows what nothing uses, so that a wall once built stays."""
    imports = Tree(ROOT, ALLOWED).imports()
    used: dict[str, set[str]] = {row: set() for row in ALLOWED}
    for file, targets in imports.items():
        row = row_of(file, ALLOWED)
        used[row] |= {row_of(target, ALLOWED) for target in targets} - {row, BASICS.get(file.split("/")[0])}
    assert {row: allowed - used[row] for row, allowed in ALLOWED.items() if allowed - used[row]} == {}


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
    (problem,) = Tree(copy, ALLOWED).problems()
    assert problem == "worker/output/records.py (worker/output) may not import worker/intake/lane.py (worker/intake)"


def test_a_circle_of_files_fails(copy: Path) -> None:
    """Within one folder, where the table says nothing, and though it is hidden in a function."""
    with (copy / "worker/intake/slices.py").open("a", encoding="utf-8") as file:
        file.write("def late():\n    from worker.intake.lane import Lane\n")
    (problem,) = Tree(copy, ALLOWED).problems()
    assert problem.startswith("files import each other: ")
    assert {"worker/intake/slices.py", "worker/intake/lane.py"} <= set(problem.split(": ")[1].split(" -> "))


def test_a_table_with_a_circle_fails(copy: Path) -> None:
    """The folders of a circle cannot be read from top to bottom."""
    allowed = ALLOWED | {"worker/broker": ALLOWED["worker/broker"] | {"worker/intake"}}
    problems = Tree(copy, allowed).problems()
    assert any(problem.startswith("the table has a circle: ") for problem in problems)


def test_a_page_with_another_table_fails(copy: Path) -> None:
    """A reader of the page must see what holds."""
    text = (copy / PAGE).read_text(encoding="utf-8")
    row = "| `worker/intake` | `worker/broker`, `worker/telemetry` |\n"
    assert row in text
    (copy / PAGE).write_text(text.replace(row, "| `worker/intake` | `worker/broker` |\n"), encoding="utf-8")
    assert Tree(copy, ALLOWED).problems() == [f"{PAGE} shows another row of worker/intake: {{'worker/broker'}}"]


def test_a_folder_without_a_row_fails(copy: Path) -> None:
    """A folder that is added gets a row of its own; until then that of the folder around it holds."""
    (copy / "worker/commands/serve").mkdir()
    (copy / "worker/commands/serve/cli.py").write_text("import worker.service\n", encoding="utf-8")
    (problem,) = Tree(copy, ALLOWED).problems()
    assert (
        problem == "worker/commands/serve/cli.py (worker/commands) may not import worker/service.py (worker/service.py)"
    )


@pytest.mark.parametrize("folder", sorted(FORBIDDEN))
def test_packages_of_others_stay_where_they_belong(folder: str) -> None:
    """The model knows no broker, and a stage does not either."""
    tree = Tree(ROOT, ALLOWED)
    files = [file for file in tree.files() if file.startswith(f"{folder}/")]
    assert files
    for file in files:
        assert not {module.split(".")[0] for module, _ in tree.modules(file)} & FORBIDDEN[folder], file


def test_every_folder_says_what_it_is_for() -> None:
    """Each package has a docstring."""
    for package in PACKAGES:
        for file in (ROOT / package).rglob("__init__.py"):
            assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))), file


def test_the_hot_path_is_not_a_faust_agent() -> None:
    """Only the shell imports Faust, and nothing defines an agent."""
    tree = Tree(ROOT, ALLOWED)
    users = {
        file for file in tree.files() if {"faust", "mode"} & {module.split(".")[0] for module, _ in tree.modules(file)}
    }
    assert users == {"worker/app.py", "worker/pages.py", "worker/service.py"}
    assert not any(".agent(" in path.read_text(encoding="utf-8") for path in (ROOT / "worker").rglob("*.py"))


def test_checkpoints_are_never_pickles() -> None:
    """Weights are read from safetensors, or with `weights_only=True`."""
    for path in (ROOT / "mmorient").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "pickle.load" not in text, path
        assert text.count("torch.load(") == text.count("weights_only=True"), path


def test_commands_that_only_read_topics_load_no_torch() -> None:
    """It takes seconds, and who looks for a dead letter or a label needs no model."""
    commands = ("dead_letters.commands", "dead_letters.replay_command", "labels.command")
    modules = ", ".join(f"worker.commands.{command}" for command in commands)
    loaded = subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; print('torch' in sys.modules)"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert loaded.stdout.strip() == "False"
