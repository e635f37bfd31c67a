"""Rows to lines of labels: what one process and many do alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmorient.archive.reading import Archive, Place, Row, chunks
from mmorient.errors import PostError
from mmorient.input.post_json import Line, UnusableMediaError, read_line, write_line, write_unlabelled

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
        unlabelled: How many lines have no labels, because nothing of their posts can be used.
    """

    end: Place
    read_bytes: int
    lines: tuple[str, ...]
    refused: tuple[str, ...]
    unlabelled: int = 0


def label_chunk(moderator: Moderator, archive: Archive, rows: Sequence[Row]) -> Labelled:
    """Label some rows of one file; what each becomes does not depend on the others."""
    model = model_of(moderator)
    posts: list[Line] = []
    refused: list[str] = []
    # By the number of a post among `posts`, behind which such a line stands.
    unlabelled: list[tuple[int, str]] = []
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
        except UnusableMediaError as error:
            unlabelled.append((len(posts), write_unlabelled(error, model)))
        except PostError as error:
            refused.append(f"{archive.name(row)}: {error}")
    labels = moderator.label([line.post for line in posts])
    lines = [write_line(post, one, model) for post, one in zip(posts, labels, strict=True)]
    for place, line in reversed(unlabelled):
        lines.insert(place, line)
    return Labelled(rows[-1].end, archive.read_bytes(rows[-1]), tuple(lines), tuple(refused), len(unlabelled))


def model_of(moderator: Moderator) -> dict[str, str]:
    """Which model labels, as a line says it: what label records say, but for the arithmetic of the machine."""
    identity = moderator.identity
    return {
        "name": identity.name,
        "checkpoint": identity.checkpoint,
        "graph_context": identity.graph_context,
        "precision": identity.precision,
    }


def label_here(moderator: Moderator, archive: Archive, start: Place) -> Iterator[Labelled]:
    """Label an archive from a place on, in this process.

    Raises:
        ArchiveError: A file of it cannot be read.
    """
    for rows in chunks(archive.rows(start)):
        yield label_chunk(moderator, archive, rows)
