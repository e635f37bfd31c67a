"""A folder of `*.toml` becomes a policy; what is wrong is said in one line, with file and line."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from worker.errors import SettingsError
from worker.policies.canonical import said_of
from worker.policies.policies import Policies
from worker.policies.rule import Rule
from worker.settings import Settings

_MOST_BYTES = 1024 * 1024
_TABLE = "rule"
_HEAD = re.compile(r"\s*\[\[\s*rule\s*\]\]")


def read_policies(folder: Path) -> Policies:
    """Read all `*.toml` of a folder, whose names and number mean nothing.

    Args:
        folder: without the folders in it.

    Raises:
        SettingsError: there is none, a file cannot be read, or a rule is wrong; in one line.
    """
    if not folder.is_dir():
        raise SettingsError(f"there is no folder {folder}")
    files = sorted(file for file in folder.glob("*.toml") if not file.name.startswith("."))
    if not files:
        raise SettingsError(f"no *.toml in {folder}")
    places: dict[str, str] = {}
    rules: list[Rule] = []
    for file in files:
        for place, rule in _rules_of(file):
            if rule.name in places:
                raise SettingsError(f"{place}: rule {rule.name!r} stands at {places[rule.name]} too")
            places[rule.name] = place
            rules.append(rule)
    try:
        return Policies(rules)
    except SettingsError as error:
        raise SettingsError(f"{folder}: {error}") from error


def _rules_of(file: Path) -> Iterator[tuple[str, Rule]]:
    """Yield the rules of a file, each with its place."""
    text = _text_of(file)
    try:
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{file}: {error}") from error
    for key in found:
        if key != _TABLE:
            raise SettingsError(f"{file}: {key!r} is unknown; rules stand under [[{_TABLE}]]")
    entries = found.get(_TABLE, [])
    if not isinstance(entries, list):
        raise SettingsError(f"{file}: [rule] is one table, rules stand under [[rule]]")
    lines = _lines_of(text, len(entries))
    for number, (entry, line) in enumerate(zip(entries, lines, strict=True), start=1):
        name = entry.get("name") if isinstance(entry, dict) else None
        called = f"rule {name!r}" if isinstance(name, str) else f"rule {number}"
        try:
            yield f"{file}{line}", Rule.model_validate(entry)
        except ValidationError as error:
            raise SettingsError(f"{file}{line}: {called}: {said_of(error)}") from error


def _text_of(file: Path) -> str:
    try:
        content = file.read_bytes()
        if len(content) > _MOST_BYTES:
            raise SettingsError(f"{file}: {len(content)} bytes, where {_MOST_BYTES} are the most")
        return content.decode()
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: no UTF-8 at byte {error.start}") from error


def _lines_of(text: str, count: int) -> list[str]:
    """Return `:LINE` of each rule's head; nothing where the rules are written in another way."""
    heads = [f":{number}" for number, line in enumerate(text.splitlines(), start=1) if _HEAD.match(line)]
    return heads if len(heads) == count else [""] * count


def folder_policies(settings: Settings) -> Policies:
    """Return the policy of the folder that a setting names; one without rules where none is named.

    Raises:
        SettingsError: it cannot be read, or has a rule on a task that is not published.
    """
    if settings.policies is None:
        return Policies()
    try:
        policies = read_policies(settings.policies)
        policies.refuse_unpublished(settings.kafka.routes)
    except SettingsError as error:
        raise SettingsError(f"MODERATE_POLICIES: {error}") from error
    return policies
