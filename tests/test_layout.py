"""The walls between the folders: who may import whom, by one table that `docs/architecture.md` shows too."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.layout import PACKAGES, Tree, row_of
from tests.tiers import SOURCES

ROOT = Path(__file__).parent.parent

# What all files of a package may import.
MODEL_BASICS = "mmorient/{config,digest,errors,labels,package_files,reference}.py"
WORKER_BASICS = "worker/{ending,errors,garbage,hosts,items,rate_limit,retry,secrets,settings/*,variables,watchdog}.py"
BASICS = {"mmorient": MODEL_BASICS, "worker": WORKER_BASICS}

# A row holds for the files that no longer row holds for. Each row: what its files may import of this project besides
# themselves and the basics of their package; a folder stands for what no row of its own stands for.
ALLOWED: dict[str, set[str]] = {
    "schemas": set(),
    MODEL_BASICS: set(),
    "mmorient/input": set(),
    "mmorient/encoders": {"mmorient/input"},
    "mmorient/arithmetic": set(),
    "mmorient/network": {"mmorient/arithmetic", "mmorient/encoders", "mmorient/input"},
    "mmorient/checkpointing": {"mmorient/encoders", "mmorient/input", "mmorient/network"},
    "mmorient/moderator.py": {
        "mmorient/arithmetic",
        "mmorient/checkpointing",
        "mmorient/encoders",
        "mmorient/input",
        "mmorient/network",
    },
    "mmorient/commands": {"mmorient/moderator.py"},
    "mmorient/explain": {"mmorient/commands", "mmorient/input", "mmorient/moderator.py"},
    "mmorient/files": set(),
    "mmorient/archive": {
        "mmorient/arithmetic",
        "mmorient/checkpointing",
        "mmorient/commands",
        "mmorient/files",
        "mmorient/input",
        "mmorient/moderator.py",
    },
    "mmorient/training/config.py": set(),
    "mmorient/training/data": {
        "mmorient/encoders",
        "mmorient/files",
        "mmorient/input",
        "mmorient/moderator.py",
        "mmorient/network",
    },
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
        "mmorient/training/config.py",
        "mmorient/training/data",
        "mmorient/training/fitting",
    },
    "mmorient/training": {
        "mmorient/arithmetic",
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
    "mmorient/__init__.py": {
        "mmorient/archive",
        "mmorient/explain",
        "mmorient/files",
        "mmorient/input",
        "mmorient/moderator.py",
    },
    WORKER_BASICS: {"mmorient/__init__.py", "schemas"},
    "worker/telemetry": {"mmorient/__init__.py"},
    "worker/broker": {"worker/telemetry"},
    "worker/intake": {"worker/broker", "worker/telemetry"},
    "worker/labelling/cache": {"mmorient/__init__.py", "worker/telemetry"},
    "worker/labelling/fetching": set(),
    "worker/labelling/registry": {"worker/telemetry"},
    "worker/labelling/sandbox": {"mmorient/__init__.py", "mmorient/input", "worker/telemetry"},
    "worker/labelling": {
        "mmorient/__init__.py",
        "mmorient/input",
        "schemas",
        "worker/labelling/cache",
        "worker/labelling/fetching",
        "worker/labelling/registry",
        "worker/labelling/sandbox",
        "worker/telemetry",
    },
    "worker/labelling/speed.py": {"worker/labelling", "worker/telemetry"},
    "worker/policies": {"mmorient/__init__.py"},
    "worker/output": {"mmorient/__init__.py", "schemas", "worker/policies", "worker/telemetry"},
    "worker/control": {"worker/broker", "worker/output", "worker/policies", "worker/telemetry"},
    "worker/isolation": {"worker/labelling", "worker/labelling/cache", "worker/labelling/sandbox"},
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
        "worker/control",
        "worker/intake",
        "worker/isolation",
        "worker/labelling",
        "worker/output",
        "worker/pipeline.py",
        "worker/shadow",
        "worker/telemetry",
    },
    "worker/pages.py": {"worker/telemetry"},
    "worker/serving/page": {
        "mmorient/__init__.py",
        "mmorient/explain",
        "schemas",
        "worker/broker",
        "worker/telemetry",
    },
    "worker/serving": {
        "mmorient/__init__.py",
        "schemas",
        "worker/broker",
        "worker/labelling",
        "worker/output",
        "worker/policies",
        "worker/serving/page",
        "worker/telemetry",
    },
    "worker/app.py": {"worker/intake", "worker/pages.py", "worker/service.py", "worker/telemetry"},
    "worker/commands/stack": set(),
    "worker/commands": {
        "mmorient/__init__.py",
        "worker/app.py",
        "worker/broker",
        "worker/commands/processes.py",
        "worker/commands/stack",
        "worker/policies",
        "worker/serving",
        "worker/telemetry",
    },
    "worker/commands/processes.py": {"worker/labelling/sandbox"},
    "worker/commands/audit": {
        "mmorient/__init__.py",
        "schemas",
        "worker/broker",
        "worker/commands",
        "worker/control",
        "worker/output",
        "worker/policies",
        "worker/telemetry",
    },
    "worker/commands/backfill": {
        "mmorient/__init__.py",
        "worker/app.py",
        "worker/broker",
        "worker/commands",
        "worker/intake",
        "worker/isolation",
        "worker/labelling/speed.py",
        "worker/policies",
        "worker/telemetry",
    },
    "worker/commands/dead_letters": {"schemas", "worker/broker", "worker/commands", "worker/output"},
    "worker/commands/demo": {
        "schemas",
        "worker/broker",
        "worker/commands/audit",
        "worker/commands/stack",
        "worker/output",
    },
    "worker/commands/diff/read": {"mmorient/__init__.py", "mmorient/files", "worker/broker"},
    "worker/commands/diff/compare": {
        "mmorient/__init__.py",
        "schemas",
        "worker/commands",
        "worker/commands/diff/read",
        "worker/policies",
    },
    "worker/commands/diff/show": {"worker/commands", "worker/commands/diff/compare"},
    "worker/commands/diff": {
        "mmorient/__init__.py",
        "mmorient/commands",
        "worker/broker",
        "worker/commands",
        "worker/commands/diff/compare",
        "worker/commands/diff/read",
        "worker/commands/diff/show",
        "worker/policies",
    },
    "worker/commands/doctor": {
        "mmorient/__init__.py",
        "worker/broker",
        "worker/commands",
        "worker/commands/stack",
        "worker/isolation",
        "worker/telemetry",
    },
    "worker/commands/forget": {
        "mmorient/__init__.py",
        "worker/broker",
        "worker/commands",
        "worker/commands/dead_letters",
        "worker/commands/labels",
        "worker/labelling",
        "worker/labelling/cache",
    },
    "worker/commands/import_archive": {"mmorient/__init__.py", "worker/broker", "worker/commands"},
    "worker/commands/labels": {
        "mmorient/__init__.py",
        "worker/broker",
        "worker/commands",
        "worker/commands/dead_letters",
        "worker/output",
    },
    "worker/commands/offsets": {"worker/broker", "worker/commands", "worker/output"},
    "worker/commands/policies": {"worker/broker", "worker/commands", "worker/control", "worker/policies"},
    "worker/commands/verdicts": {"mmorient/__init__.py", "schemas", "worker/broker", "worker/commands"},
    "worker": {
        "mmorient/commands",
        "worker/commands",
        "worker/commands/audit",
        "worker/commands/backfill",
        "worker/commands/dead_letters",
        "worker/commands/demo",
        "worker/commands/diff",
        "worker/commands/doctor",
        "worker/commands/forget",
        "worker/commands/import_archive",
        "worker/commands/labels",
        "worker/commands/offsets",
        "worker/commands/policies",
        "worker/commands/stack",
        "worker/commands/verdicts",
    },
}
# Of other people's packages, what a folder and all below it may not import.
FORBIDDEN = {
    "schemas": {"aiokafka", "faust", "redis", "torch"},
    "mmorient": {"aiokafka", "faust", "redis"},
    "worker/labelling": {"aiokafka"},
    "worker/output": {"aiokafka"},
}


def tree_at(root: Path) -> Tree:
    """Return the sources below a folder, with our table."""
    return Tree(root, ALLOWED, BASICS)


def test_the_walls_hold() -> None:
    """Imports keep to the table, nothing imports in a circle, and the page shows the table."""
    assert tree_at(ROOT).problems() == []


def test_every_row_is_needed() -> None:
    """No row allows what nothing uses, so that a wall once built stays."""
    imports = tree_at(ROOT).imports()
    used: dict[str, set[str]] = {row: set() for row in ALLOWED}
    for file, targets in imports.items():
        row = row_of(file, ALLOWED)
        used[row] |= {row_of(target, ALLOWED) for target in targets} - {row, BASICS.get(file.split("/")[0])}
    assert {row: allowed - used[row] for row, allowed in ALLOWED.items() if allowed - used[row]} == {}


@pytest.mark.parametrize("folder", sorted(FORBIDDEN))
def test_packages_of_others_stay_where_they_belong(folder: str) -> None:
    """The model knows no broker, and a stage does not either."""
    tree = tree_at(ROOT)
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
    tree = tree_at(ROOT)
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


LIGHT = [
    f"worker.commands.{command}"
    for command in ("dead_letters.commands", "dead_letters.replay_command", "labels.command", "audit.command")
]


@pytest.mark.parametrize("module", LIGHT)
def test_commands_that_only_read_topics_import_no_torch(module: str) -> None:
    """It takes seconds, and who looks for a dead letter or a label needs no model."""
    assert "torch" not in SOURCES.loaded_by(module)


@pytest.mark.slow
def test_commands_that_only_read_topics_load_no_torch() -> None:
    """Nor does anything that they import."""
    modules = ", ".join(LIGHT)
    loaded = subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; print('torch' in sys.modules)"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert loaded.stdout.strip() == "False"
