"""How far a labelling has come, beside its output: what a run that was killed goes on from."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mmorient.archive.reading import Place
from mmorient.errors import ArchiveUsageError


class State(BaseModel):
    """What is on the disk for good, and what it was made of.

    Attributes:
        inputs: Digest of the archive's files: their paths and sizes.
        contents: Digest of what they begin and end with.
        sizes: Of the files, where they are few.
        model: What the labels depend on besides the posts.
        file, row: The ``Place`` up to which all labels are on the disk.
        posts: Labelled by then.
        refused: Rows that were no posts by then.
        bytes: Of the output, where it is JSON lines.
        parts: Of the output, where it is Parquet.
        finished: All is labelled and the output is whole.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["label-state/1"] = "label-state/1"
    inputs: str
    contents: str | None = None
    sizes: list[int] | None = None
    model: dict[str, str]
    file: int = 0
    row: int = 0
    posts: int = 0
    refused: int = 0
    bytes: int = 0
    parts: int = 0
    finished: bool = False

    @property
    def place(self) -> Place:
        """Where to read on."""
        return Place(self.file, self.row)


class StateFile:
    """The file ``OUT.state.json``.

    Args:
        output: Its neighbour, a file or a folder.
    """

    def __init__(self, output: Path) -> None:
        self.path = output.with_name(f"{output.name}.state.json")

    def load(self) -> State | None:
        """Read it; None where there is none.

        Raises:
            ArchiveUsageError: It is not one of this program's.
        """
        try:
            return State.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (ValidationError, OSError) as error:
            said = str(error).splitlines()[0]
            raise ArchiveUsageError(f"{self.path}: is no state of a labelling ({said})") from error

    def save(self, state: State) -> None:
        """Replace it, so that it is the old one or the new one whatever happens."""
        replace_file(self.path, (state.model_dump_json(indent=2) + "\n").encode())


def replace_file(path: Path, content: bytes) -> None:
    """Write a file that is whole or not there, also after a crash of the machine."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make new and renamed files of a folder durable."""
    with suppress(OSError):  # not every file system has it for folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
