"""MM-ORIENT: sentiment, humour, sarcasm, offensiveness and motivation of posts, from their text and their pictures.

    moderator = Moderator.from_checkpoint()
    moderator.label([Post(text="oh great, another monday")])

Method: arXiv 2508.16300. Names load on first use, so that the command answers ``--help`` without loading torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmorient.archive.reading import Archive, Place, Row, open_archive
    from mmorient.digest import check_checkpoint, checkpoint_digest
    from mmorient.errors import (
        ArchiveError,
        ArchiveUsageError,
        CheckpointError,
        DataError,
        MmOrientError,
        PictureError,
        PostError,
    )
    from mmorient.explain.document import explain_document, explain_read_post
    from mmorient.files.refusals import Refusals
    from mmorient.input.pictures import decode_picture
    from mmorient.input.posts import Embedding, Frame, Picture, Post, PostEmbeddings, Reading
    from mmorient.input.reading.inline import inline_bytes
    from mmorient.input.reading.parsed import ParsedMedium, ParsedPost, PassedOver
    from mmorient.input.reading.post_reader import PostReader
    from mmorient.input.reading.tolerant_json import read_json
    from mmorient.input.text import post_text
    from mmorient.labels import TASKS, Intensity, PostLabels, TaskLabel
    from mmorient.moderator import ModelIdentity, Moderator
    from mmorient.reference import SCORE_BINS, Reference, load_reference, score_bins, stability_index

__all__ = [
    "SCORE_BINS",
    "TASKS",
    "Archive",
    "ArchiveError",
    "ArchiveUsageError",
    "CheckpointError",
    "DataError",
    "Embedding",
    "Frame",
    "Intensity",
    "MmOrientError",
    "ModelIdentity",
    "Moderator",
    "ParsedMedium",
    "ParsedPost",
    "PassedOver",
    "Picture",
    "PictureError",
    "Place",
    "Post",
    "PostEmbeddings",
    "PostError",
    "PostLabels",
    "PostReader",
    "Reading",
    "Reference",
    "Refusals",
    "Row",
    "TaskLabel",
    "check_checkpoint",
    "checkpoint_digest",
    "decode_picture",
    "explain_document",
    "explain_read_post",
    "inline_bytes",
    "load_reference",
    "open_archive",
    "post_text",
    "read_json",
    "score_bins",
    "stability_index",
]

_HOMES = {
    "archive.reading": ("Archive", "Place", "Row", "open_archive"),
    "digest": ("check_checkpoint", "checkpoint_digest"),
    "errors": (
        "ArchiveError",
        "ArchiveUsageError",
        "CheckpointError",
        "DataError",
        "MmOrientError",
        "PictureError",
        "PostError",
    ),
    "explain.document": ("explain_document", "explain_read_post"),
    "files.refusals": ("Refusals",),
    "input.pictures": ("decode_picture",),
    "input.posts": ("Embedding", "Frame", "Picture", "Post", "PostEmbeddings", "Reading"),
    "input.reading.inline": ("inline_bytes",),
    "input.reading.parsed": ("ParsedMedium", "ParsedPost", "PassedOver"),
    "input.reading.post_reader": ("PostReader",),
    "input.reading.tolerant_json": ("read_json",),
    "input.text": ("post_text",),
    "labels": ("TASKS", "Intensity", "PostLabels", "TaskLabel"),
    "moderator": ("ModelIdentity", "Moderator"),
    "reference": ("SCORE_BINS", "Reference", "load_reference", "score_bins", "stability_index"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
