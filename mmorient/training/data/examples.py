"""What every reader of a set gives: posts with the labels that are known of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TRAIN = "train"
VAL = "val"
PROBES = {"emotion": 4, "sentiment": 3, "hate": 2, "offensive": 2, "sarcasm": 2}
"""The sets that the task-specific text features are trained on, and their classes."""


@dataclass(frozen=True, slots=True)
class Example:
    """One post of a training set.

    Attributes:
        source: The set: ``memotion``, ``mvsa``, ``sentiment``, ``irony``, ``offensive``, ``hate``, ``emotion``,
            ``mmsd2``, ``isarcasm``, ``sarcasm_tweets``, ``sarcasm_forum``, ``hatemoji``, ``umsab_en`` and other
            languages, ``contrast`` or the name of a file of people's own posts.
        split: ``train`` or ``val``.
        text: May be empty.
        picture: Its file, or None.
        targets: Head name to class; what is not known is not in there. The probes' heads are named ``probe_NAME``.
    """

    source: str
    split: str
    text: str
    picture: Path | None
    targets: dict[str, int]
