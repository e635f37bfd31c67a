"""Imports of a tree, held against a table of those that are allowed."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGES = ("schemas", "mmorient", "worker")
PAGE = Path("docs/architecture.md")
Graph = Mapping[str, set[str]]


@dataclass(frozen=True)
class Tree:
    """The sources below a folder, and the page about them.

    Args:
        root: the folder.
        allowed: the table.
        basics: the row of each package that all its files may import.
    """

    root: Path
    allowed: Graph
    basics: Mapping[str, str]

    def files(self) -> Iterator[str]:
        """Yield the paths of all sources."""
        for package in PACKAGES:
            yield from (str(path.relative_to(self.root)) for path in sorted((self.root / package).rglob("*.py")))

    def modules(self, file: str) -> Iterator[tuple[str, str | None]]:
        """Yield what a file imports, wherever in it: a module, and the name out of it where there is one."""
        yield from imported_by((self.root / file).read_text(encoding="utf-8"))

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
            allowed = {row, self.basics.get(file.split("/")[0], row)} | self.allowed[row]
            for target in sorted(targets):
                if row_of(target, self.allowed) not in allowed:
                    yield f"{file} ({row}) may not import {target} ({row_of(target, self.allowed)})"

    def differences_from_page(self) -> Iterator[str]:
        """Yield the rows in which the page shows another table."""
        shown = table_of((self.root / PAGE).read_text(encoding="utf-8"))
        for row in sorted(shown.keys() | self.allowed.keys()):
            if shown.get(row) != self.allowed.get(row):
                yield f"{PAGE} shows another row of {row}: {shown.get(row)}"


@cache
def imported_by(source: str) -> tuple[tuple[str, str | None], ...]:
    """Return what a source imports; kept, because tests read copies of the same files."""
    found: list[tuple[str, str | None]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"imports are absolute: {ast.unparse(node)}"
            found += ((node.module or "", alias.name) for alias in node.names)
    return tuple(found)


def row_of(file: str, rows: Iterable[str]) -> str:
    """Return the most exact row that holds for a file."""
    holding = [row for row in rows if names(row, file) or file.startswith(f"{row}/")]
    assert holding, f"no row holds for {file}"
    return max(holding, key=lambda row: (names(row, file), len(row)))


def names(row: str, file: str) -> bool:
    """Return whether a row names a file, and not only a folder around it."""
    return any(fnmatchcase(file, pattern) for pattern in files_of(row))


@cache
def files_of(row: str) -> list[str]:
    """Return the files that a row names, such as `worker/{errors,items,settings/*}.py`."""
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
