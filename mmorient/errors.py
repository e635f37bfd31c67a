"""What this package raises.

MmOrientError
├── CheckpointError   a checkpoint that cannot be used: wrong file, wrong shape, unknown version
├── PictureError      bytes that cannot become a picture: the post goes on without it
├── PostError         a record or a line that is not a post
├── ArchiveError      an archive that cannot be read or written on
│   └── ArchiveUsageError  what was asked for cannot be done: said before anything starts
└── DataError         a training set that is not laid out as its reader expects
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

# Of what a stranger's post makes us say.
_MESSAGE_CHARS = 500


class MmOrientError(Exception):
    """The root of every error that this package raises on purpose."""


class CheckpointError(MmOrientError):
    """A checkpoint that cannot be used, with the file at fault, in one line."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"checkpoint {path}: {reason}")
        self.path = str(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type[CheckpointError], tuple[str, str]]:
        """Survive pickling: checkpoints are loaded in worker processes as well."""
        return (type(self), (self.path, self.reason))


class PictureError(MmOrientError):
    """Bytes that cannot become a picture.

    Attributes:
        code: One of ``not_a_picture``, ``unsupported_format``, ``too_many_pixels``, ``truncated``, ``corrupt``.
        detail: What was found, for a person.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail

    def __reduce__(self) -> tuple[type[PictureError], tuple[str, str]]:
        """Survive pickling: pictures are decoded in worker processes as well."""
        return (type(self), (self.code, self.detail))


class PostError(MmOrientError):
    """A record or a line that is not a post; the message quotes what refuses it.

    Attributes:
        plain: The message without what a person wrote: the field, and the kind of what stands there. For logs, and all
            that others read.
        code: For counting: ``empty``, ``no_json``, ``no_post``, ``nothing_to_read`` (of its text, and it has no
            media), ``deletion`` or ``unsupported`` (a format that is recognised and not read).
    """

    def __init__(self, message: str, code: str = "no_post", *, plain: str | None = None) -> None:
        # It may quote half a character, which nobody can write.
        super().__init__(message[:_MESSAGE_CHARS].encode(errors="replace").decode())
        self.code = code
        self.plain = str(self) if plain is None else plain

    def __reduce__(self) -> tuple[Callable[..., PostError], tuple[str, str, str]]:
        """Survive pickling: archives are labelled in worker processes as well."""
        return (_post_error, (str(self), self.code, self.plain))


def _post_error(message: str, code: str, plain: str) -> PostError:
    return PostError(message, code, plain=plain)


class ArchiveError(MmOrientError):
    """An archive that cannot be read or written on, with the file at fault, in one line."""


class ArchiveUsageError(ArchiveError):
    """Paths, an output or a missing package with which an archive cannot be worked on."""


class DataError(MmOrientError):
    """A training set that is not laid out as its reader expects."""
