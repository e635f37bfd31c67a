"""Rows to lines of labels: what one process and many do alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmorient.archive.reading import Archive, Place, Row, chunks
from mmorient.errors import PostError
from mmorient.input.post_json import read_line, write_line

if TYPE_CHECKING:
    from mmorient.moderator import Moderator


@dataclass(frozen=True, slots=True)
class Labelled:
    """What a chunk of rows became.

    Attributes:
        end: The place behind the chunk.
        read_bytes: Of the whole archive, by then.
        lines: One JSON a post, in the posts' order.
        refused: Which rows were no posts, and why.
    """

    end: Place
    read_bytes: int
    lines: tuple[str, ...]
    refused: tuple[str, ...]


def label_chunk(moderator: Moderator, archive: Archive, rows: Sequence[Row]) -> Labelled:
    """Label some rows of one file; what each becomes does not depend on the others."""
    posts, refused = [], []
    for row in rows:
        if row.refused is not None:
            refused.append(f"{archive.name(row)}: {row.refused}")
            continue
        try:
            posts.append(
                read_line(
                    row.value,
                    archive.folder(row),
                    moderator.drawn_text,
                    frame=moderator.picture_frame,
                    beside=moderator.reads_beside,
                )
            )
        except PostError as error:
            refused.append(f"{archive.name(row)}: {error}")
    labels = moderator.label([line.post for line in posts])
    lines = tuple(map(write_line, posts, labels))
    return Labelled(rows[-1].end, archive.read_bytes(rows[-1]), lines, tuple(refused))


def label_here(moderator: Moderator, archive: Archive, start: Place) -> Iterator[Labelled]:
    """Label an archive from a place on, in this process.

    Raises:
        ArchiveError: A file of it cannot be read.
    """
    for rows in chunks(archive.rows(start)):
        yield label_chunk(moderator, archive, rows)
