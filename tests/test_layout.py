"""The walls between the rooms."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "schemas": {"mmorient", "worker", "torch", "aiokafka", "redis", "faust"},
    "mmorient": {"schemas", "worker", "aiokafka", "redis", "faust"},
    "worker": set(),
}


def imported(path: Path) -> set[str]:
    """Return the top-level packages that a file imports, wherever in the file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("package", ["schemas", "mmorient"])
def test_packages_do_not_know_each_other(package: str) -> None:
    """`schemas` and `mmorient` never import each other, `worker`, or what belongs to the stream."""
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        assert not imported(path) & FORBIDDEN[package], path


def test_worker_imports_both() -> None:
    """`worker` is where events and model meet."""
    names = set().union(*(imported(path) for path in (ROOT / "worker").rglob("*.py")))
    assert {"schemas", "mmorient"} <= names


def test_the_hot_path_is_not_a_faust_agent() -> None:
    """Only the shell imports Faust, and nothing defines an agent."""
    users = {path.name for path in (ROOT / "worker").rglob("*.py") if {"faust", "mode"} & imported(path)}
    assert users == {"app.py", "pages.py", "service.py"}
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
