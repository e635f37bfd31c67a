"""Both models' reasons for the posts that moved most."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmorient import MmOrientError, Moderator, explain_document
from worker.commands.diff.compare.report import Explanations, Moved
from worker.errors import FatalError

Whole = tuple[bytes, Path | None]
"""A post's JSON, and the folder that its pictures' paths are relative to, if it may name any."""


def load_model(folder: Path) -> Moderator:
    """Load a model that explains.

    Raises:
        FatalError: it cannot be used.
    """
    try:
        return Moderator.from_checkpoint(folder, device="cpu")
    except MmOrientError as error:
        raise FatalError(str(error)) from error


def with_explanations(
    moved: Sequence[Moved], wholes: Mapping[int, Whole], models: tuple[Moderator | None, Moderator | None]
) -> list[Moved]:
    """Return the posts with the models' explanations.

    Args:
        moved: posts; those whose index is in `wholes` are explained.
        wholes: by index, the posts as they were published.
        models: the left's and the right's; None for one that was not named.
    """
    explained = []
    for index, post in enumerate(moved):
        whole = wholes.get(index)
        if whole is None:
            explained.append(post)
            continue
        left, right = (None if model is None else _explain(model, whole) for model in models)
        explained.append(post.model_copy(update={"explanations": Explanations(left=left, right=right)}))
    return explained


def _explain(model: Moderator, whole: Whole) -> dict[str, Any] | None:
    content, folder = whole
    try:
        return explain_document(content, model, folder=folder)
    except MmOrientError:
        # For example, its only picture would have to be fetched.
        return None
