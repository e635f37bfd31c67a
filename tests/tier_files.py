"""The tiers that a test file can have tests in, read from its text: a file with none in a tier is not imported there.

What may be told of a test without importing it: its marks, those of its file, and the fixtures that it uses, through
others too. Where something remains open, such as marks of single cases, the higher tiers count as possible.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from tests.tiers import FIXTURES, ROOT, TIERS, Sources, parsed, tier_of

_Function = ast.FunctionDef | ast.AsyncFunctionDef
# Made by pytest and its plugins: they need nothing.
_BUILT_IN = {
    "cache", "capfd", "caplog", "capsys", "capsysbinary", "event_loop_policy", "monkeypatch", "pytestconfig",
    "recwarn", "request", "subtests", "tmp_path", "tmp_path_factory", "unused_tcp_port",
}  # fmt: skip


class _File:
    """What stands at the top of one file of tests or fixtures."""

    def __init__(self, path: Path) -> None:
        tree = parsed(path)
        self.plain = all(not isinstance(node, ast.ClassDef) or not node.name.startswith("Test") for node in tree.body)
        functions = [node for node in tree.body if isinstance(node, _Function)]
        self.tests = [node for node in functions if node.name.startswith("test")]
        self.fixtures = {node.name: node for node in functions if any(map(_makes_fixture, node.decorator_list))}
        self.imported = {
            alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
        }
        self.marks: list[ast.expr] = []
        for node in tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
                self.marks += node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]

    def automatic(self) -> Iterator[str]:
        """Yield the fixtures that every test of the file uses."""
        for name, node in self.fixtures.items():
            if any("autouse=True" in ast.unparse(one) for one in node.decorator_list):
                yield name


_file = cache(_File)


def possible_tiers(path: Path, sources: Sources, root: Path = ROOT) -> set[str]:
    """Return every tier that a test of this file may be in.

    Args:
        path: a file whose name begins with `test_`, somewhere below `root`.
        sources: of the same tree.
        root: the folder of the project.
    """
    file = _file(path)
    if not file.plain:
        return set(TIERS)
    folders = [root / folder for folder in path.relative_to(root).parents]
    levels = [file, *(_file(one) for folder in folders if (one := folder / "conftest.py").is_file())]
    given = {"model"} if sources.heavy(path) else set()
    found: set[str] = set()
    for test in file.tests:
        least, certain = _tier(test, levels, set(given))
        found |= {least} if certain else set(TIERS[TIERS.index(least) :])
    return found


def _tier(test: _Function, levels: Sequence[_File], marks: set[str]) -> tuple[str, bool]:
    """Return the lowest tier that a test may be in, and whether that is sure to be its own."""
    written = [*test.decorator_list, *levels[0].marks]
    marks |= {_mark(one) for one in written}
    cases = [one for one in written if isinstance(one, ast.Call) and _mark(one) == "parametrize"]
    # A parameter hides a fixture of its name.
    given = {name for one in cases for name in re.findall(r"\w+", ast.unparse(one.args[0]))}
    automatic = [name for level in levels for name in level.automatic()]
    waiting = [(name, 0) for name in [*_arguments(test), *_used(written), *automatic]]
    # Values in other words may be cases with marks of their own.
    certain = all(not one.keywords and all(map(_is_literal, one.args)) for one in cases)
    seen: set[tuple[str, int]] = set()
    while waiting:
        name, level = waiting.pop()
        if (name, level) in seen or name in _BUILT_IN:
            continue
        seen.add((name, level))
        if name in FIXTURES:
            marks.add(FIXTURES[name])
        if name in given:
            continue
        home = next((one for one in range(level, len(levels)) if _knows(levels[one], name)), None)
        if home is None or name not in levels[home].fixtures:
            certain = False
            continue
        needs = _arguments(levels[home].fixtures[name])
        # A fixture that asks for its own name means the one that it hides.
        waiting += [(need, home + 1 if need == name else 0) for need in needs]
    return tier_of(marks), certain


def _knows(file: _File, name: str) -> bool:
    return name in file.fixtures or name in file.imported


def _arguments(node: _Function) -> list[str]:
    return [one.arg for one in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]]


def _used(written: Sequence[ast.expr]) -> list[str]:
    """Return the fixtures that these marks ask for."""
    marks = [one for one in written if isinstance(one, ast.Call) and _mark(one) == "usefixtures"]
    return [str(ast.literal_eval(name)) for one in marks for name in one.args]


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def _makes_fixture(node: ast.expr) -> bool:
    return ast.unparse(node).split("(")[0] in {"fixture", "pytest.fixture", "pytest_asyncio.fixture"}


def _mark(node: ast.expr) -> str:
    """Return the name of the mark that an expression is; nothing where it is none."""
    said = ast.unparse(node.func if isinstance(node, ast.Call) else node)
    return said.removeprefix("pytest.mark.") if said.startswith("pytest.mark.") else ""
