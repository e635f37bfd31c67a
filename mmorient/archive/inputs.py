"""Which files a run was begun with: what a run that goes on compares, and what it says of a difference."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

# A file that was written again differs at its beginning or its end. To read it whole would cost as much as the work.
_SAMPLE_BYTES = 64 * 1024
_NAMED_FILES = 64


@dataclass(frozen=True)
class Inputs:
    """The files of an archive.

    Attributes:
        names: As they were named.
        paths: Where they are.
        sizes: In bytes.
    """

    names: Sequence[str]
    paths: Sequence[Path]
    sizes: Sequence[int]

    @cached_property
    def digest(self) -> str:
        """``sha256:…`` of paths and sizes."""
        return _digest([[str(path), size] for path, size in zip(self.paths, self.sizes, strict=True)])

    @cached_property
    def places(self) -> str:
        """``sha256:…`` of the paths alone: the same files, whatever has become of them."""
        return _digest([str(path) for path in self.paths])

    @cached_property
    def contents(self) -> str:
        """``sha256:…`` of what the files begin and end with, 64 KiB each."""
        digest = sha256()
        for path, size in zip(self.paths, self.sizes, strict=True):
            if size:
                with path.open("rb") as file:
                    digest.update(file.read(_SAMPLE_BYTES))
                    file.seek(max(0, size - _SAMPLE_BYTES))
                    digest.update(file.read(_SAMPLE_BYTES))
        return f"sha256:{digest.hexdigest()}"

    @property
    def said_sizes(self) -> list[int] | None:
        """The sizes, for a later run to tell which differs; None where there are many."""
        return list(self.sizes) if len(self.sizes) <= _NAMED_FILES else None

    def difference(self, digest: str, contents: str | None = None, sizes: Sequence[int] | None = None) -> str | None:
        """Say what differs from the files that a run was begun with; None where nothing does.

        Args:
            digest: Of those.
            contents: Of those; None where it is not known.
            sizes: Of those; None where they are not known.
        """
        if self.digest == digest:
            return "what stands in them differs" if contents is not None and contents != self.contents else None
        if sizes is None:
            return "names or sizes differ"
        if len(sizes) != len(self.sizes):
            return f"{len(sizes)} files then, {len(self.sizes)} now"
        for name, then, now in zip(self.names, sizes, self.sizes, strict=True):
            if then != now:
                return f"{name} had {then} bytes, it has {now}"
        return "they have other names"


def _digest(listed: object) -> str:
    return f"sha256:{sha256(json.dumps(listed).encode()).hexdigest()}"
