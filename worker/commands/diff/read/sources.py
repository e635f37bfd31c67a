"""What LEFT and RIGHT name: topics or files."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import Literal

from mmorient import TASKS, ArchiveUsageError
from mmorient.files.paths import find_files
from worker.errors import SettingsError

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Source:
    """One side of a comparison.

    Args:
        name: as the user wrote it.
        kind: what it names: topics or files.
        members: files in order, or topics that may exist.
        checkpoint: the start of a checkpoint's digest, which selects labels; None for all.
    """

    name: str
    kind: Literal["topic", "file"]
    members: tuple[str, ...]
    checkpoint: str | None = None


def parse_source(text: str, checkpoint: str | None = None) -> Source:
    """Read a side: a topic, a file, or a pattern of either (`labels.{task}`, `out/*.jsonl`).

    If a file has the name, the file is read; `topic:` and `file:` say which is meant.

    Args:
        text: as the user wrote it.
        checkpoint: a prefix of the digest, with or without `sha256:`.

    Raises:
        SettingsError: there is no such file, or the text is not a topic's name, or the prefix not one of a digest.
    """
    digest = _digest(checkpoint)
    kind, _, name = text.partition(":")
    if kind not in {"topic", "file"} or not name:
        kind, name = "", text
    names = [name.replace("{task}", task) for task in TASKS] if "{task}" in name else [name]
    if kind != "topic":
        files = tuple(dict.fromkeys(_files(names)))
        if files:
            return Source(text, "file", files, digest)
        if kind == "file" or "/" in name or has_magic(name):
            raise SettingsError(f"{text}: no such file")
    if not all(_may_be_topic(one) for one in names):
        raise SettingsError(f"{text!r} is neither a file nor the name of a topic")
    return Source(text, "topic", tuple(names), digest)


def parse_posts(text: str) -> Source:
    """Read what `--posts` names: what a side may name, or a folder.

    Raises:
        SettingsError: no such file, or none in the folder.
    """
    if not Path(text).is_dir():
        return parse_source(text)
    try:
        return Source(text, "file", tuple(map(str, find_files([text]))))
    except ArchiveUsageError as error:
        raise SettingsError(str(error)) from error


def existing_topics(source: Source, topics: Iterable[str], broker: str) -> Source:
    """Return the side with only those of its topics that exist.

    Raises:
        SettingsError: none exists.
    """
    known = set(topics)
    found = tuple(name for name in source.members if name in known)
    if not found:
        raise SettingsError(f"{source.name}: neither a file nor a topic at {broker}")
    return Source(source.name, source.kind, found, source.checkpoint)


def _files(names: Sequence[str]) -> Iterable[str]:
    for name in names:
        if name == STANDARD_INPUT or Path(name).is_file():
            yield name
        elif has_magic(name):
            # A pattern that matches no file may be that of topics.
            with suppress(ArchiveUsageError):
                yield from map(str, find_files([name]))


def _may_be_topic(name: str) -> bool:
    return (
        bool(name) and len(name) <= 249 and all(mark.isascii() and (mark.isalnum() or mark in "._-") for mark in name)
    )


def _digest(prefix: str | None) -> str | None:
    if prefix is None:
        return None
    digits = prefix.removeprefix("sha256:").lower()
    if not digits or set(digits) - set("0123456789abcdef"):
        raise SettingsError(f"{prefix!r} is not the start of a checkpoint's digest")
    return f"sha256:{digits}"
