"""The tiers of the tests, and what puts a test into one.

`check` needs neither a server nor torch. `test` shows each promise once, on real servers and on the real model.
`soak` is everything else. The marks `server` and `model` follow from a test's fixtures and from what its file
imports, so that a new test needs none. `slow` is written where a test of `check` takes seconds of the processor and
another one there shows the same promise; `soak` where a test takes longer still.
"""

import ast
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest

import mmorient

ROOT = Path(__file__).parent.parent
TIERS = ("check", "test", "soak")
# Whoever uses one of these, directly or through another fixture, needs what it stands for.
FIXTURES = {
    "servers": "server",
    "redis": "server",
    "secured": "server",
    "guarded": "server",
    "untrained": "model",
    "moderator": "model",
}
# Each costs seconds to import, and most need torch themselves.
HEAVY = {"ray", "timm", "torch", "transformers"}
# Parts of command lines, and what whoever runs them needs.
COMMANDS = {
    "redis-server": "server",
    "kafka.Kafka": "server",
    "worker stack up": "server",
    "worker demo": "server",
    "worker serve": "model",
    "import torch": "model",
    "tests.worker.forked": "model",
    "worker.isolation.trial_child": "model",
    "worker.shadow.child_main": "model",
}


def tier_of(marks: Collection[str]) -> str:
    """Return the tier of a test with these marks."""
    if "soak" in marks:
        return "soak"
    return "test" if {"server", "model", "slow"} & set(marks) else "check"


def rest_soaks(cases: Iterable[str], quick: Collection[str]) -> list[Any]:
    """Return cases to parametrize a test with, all but the quick ones marked `soak`."""
    return [case if case in quick else pytest.param(case, marks=pytest.mark.soak) for case in cases]


def some_slow(cases: Iterable[Any], slow: Collection[str], name: Callable[[Any], str] = str) -> list[Any]:
    """Return cases to parametrize a test with, those of these names marked `slow`."""
    return _some(cases, slow, name, pytest.mark.slow)


def some_soak(cases: Iterable[Any], slow: Collection[str], name: Callable[[Any], str] = str) -> list[Any]:
    """Return cases to parametrize a test with, those of these names marked `soak`."""
    return _some(cases, slow, name, pytest.mark.soak)


def _some(
    cases: Iterable[Any], slow: Collection[str], name: Callable[[Any], str], mark: pytest.MarkDecorator
) -> list[Any]:
    return [pytest.param(case, marks=mark) if name(case) in slow else case for case in cases]


@cache
def parsed(path: Path) -> ast.Module:
    """Return a file's syntax: it is asked for its imports and for its tests."""
    return ast.parse(path.read_text(encoding="utf-8"))


class Sources:
    """What the files of a tree import while they are themselves imported.

    Args:
        root: the folder of the project.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._imports: dict[Path, tuple[list[str], list[str]]] = {}
        self._heavy: dict[Path, set[str]] = {}
        self._following: dict[str, Sequence[str]] = {}

    @cached_property
    def _modules(self) -> dict[str, Path]:
        found = {}
        for folder in ("bench", "deploy", "mmorient", "samples", "schemas", "tests", "worker"):
            for path in (self._root / folder).rglob("*.py"):
                parts = path.relative_to(self._root).with_suffix("").parts
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        return found

    def heavy(self, path: Path) -> set[str]:
        """Return which of `HEAVY` a test file loads: at its own import, at a conftest's, or within its tests."""
        if path not in self._heavy:
            self._heavy[path] = self._reach([*self._targets(path, everywhere=True), *self._conftests(path)])
        return self._heavy[path]

    def loaded_by(self, module: str, of: Collection[str] = HEAVY) -> set[str]:
        """Return which of some packages the import of a module loads."""
        return self._reach([module], of)

    def _reach(self, waiting: list[str], of: Collection[str] = HEAVY) -> set[str]:
        found: set[str] = set()
        while waiting:
            module = waiting.pop()
            if module not in found:
                found.add(module)
                waiting += self._next(module)
        return found & set(of)

    def _next(self, module: str) -> Sequence[str]:
        """Return what the import of a module imports at once; asked for by every file that reaches it."""
        if module not in self._following:
            if module in self._modules:
                self._following[module] = tuple(dict.fromkeys(self._imported(module)))
            else:
                self._following[module] = (module.rpartition(".")[0],) if "." in module else ()
        return self._following[module]

    def _conftests(self, path: Path) -> Iterator[str]:
        for folder in path.relative_to(self._root).parents:
            module = ".".join((*folder.parts, "conftest"))
            if module in self._modules and self._modules[module] != path:
                yield module

    def _imported(self, module: str) -> list[str]:
        return self._targets(self._modules[module], everywhere=False)

    def _name(self, path: Path) -> str:
        parts = path.relative_to(self._root).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def _targets(self, path: Path, *, everywhere: bool) -> list[str]:
        if path not in self._imports:
            found = list(_imports(parsed(path)))
            at_once = [name for node, late in found if not late for name in self._named(node)]
            self._imports[path] = (at_once, [name for node, _ in found for name in self._named(node)])
        name = self._name(path)
        package = [name.rpartition(".")[0]] if "." in name else []
        return package + self._imports[path][everywhere]

    def _named(self, node: ast.Import | ast.ImportFrom) -> list[str]:
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        if not node.module:
            return []
        # The names of this package load on first use.
        homes = [mmorient._HOME_OF.get(alias.name) if node.module == "mmorient" else None for alias in node.names]
        inner = [f"{node.module}.{home or alias.name}" for home, alias in zip(homes, node.names, strict=True)]
        return [node.module, *(one for one in inner if one in self._modules)]


# Of this project: read once, by whoever asks first.
SOURCES = Sources()


def _imports(tree: ast.AST, *, late: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Yield each import, and whether it runs later than when its file is imported."""
    for part in ("body", "handlers", "orelse", "finalbody", "cases"):
        for node in getattr(tree, part, ()):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield node, late
            elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                yield from _imports(ast.Module(node.orelse, []), late=late)
            else:
                yield from _imports(node, late=late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


class WrongTierError(Exception):
    """A test of `check` needs what only the later tiers have time for."""


def refuse(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse, as an audit hook, torch and servers.

    Raises:
        WrongTierError: the test must be marked `model` or `server`.
    """
    if event == "import" and arguments[0] in HEAVY:
        raise WrongTierError(f"a test of `make check` imports {arguments[0]}: mark it `model`")
    if event == "subprocess.Popen":
        words = arguments[1]
        command = words if isinstance(words, str) else " ".join(map(str, words))  # type: ignore[call-overload]
        for part, mark in COMMANDS.items():
            if part in command:
                raise WrongTierError(f"a test of `make check` runs {part}: mark it `{mark}`")
