"""What every peer does with posts, whatever brought them: read, ask the model, write three labels each.

It is told by the environment what to do, since each peer is a program of its own with packages of its own. Where the
model is a device that is only waited for, it still cuts texts into tokens, as the model's package does: no device
does that.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

TASKS = ("sentiment", "sarcasm", "offensiveness")
BROKER = os.environ["PEER_BROKER"]
GROUP = os.environ["PEER_GROUP"]
POSTS = os.environ["PEER_POSTS"]
LABELS = tuple(os.environ["PEER_LABELS"].split(","))
BATCH = int(os.environ["PEER_BATCH"])
BATCH_SECONDS = 0.1
SESSION_SECONDS = float(os.environ["PEER_SESSION_SECONDS"])
SCRATCH = Path(os.environ["PEER_SCRATCH"])
_CHARACTERS_A_TOKEN = 4.5
# Of a label as the worker writes it: what a device answered, as text.
_ANSWERS: dict[str, Any] = {
    "sentiment": {"negative": 0.1312, "neutral": 0.5188, "positive": 0.35},
    "sarcasm": {"not_sarcastic": 0.1312, "sarcastic": 0.8688},
    "offensiveness": {"not_offensive": 0.9312, "offensive": 0.0688},
}
_INTENSITY = {"none": 0.1402, "slight": 0.5120, "very": 0.2301, "hateful": 0.1177}
_STAMP = {"name": "mm-orient-compact", "checkpoint": "sha256:" + 64 * "0", "graph_context": "bank", "precision": "fp32"}

Labelled = tuple[bytes, tuple[bytes, ...]]
"""A post's key, and its label of each task."""


Post = dict[str, Any]


def parse(values: Iterable[bytes]) -> list[Post]:
    """Return posts from their records' values."""
    return [json.loads(value) for value in values]


def make_labeller() -> Callable[[Sequence[Post]], list[Labelled]]:
    """Return what makes labels of posts; it blocks while the model computes."""
    # The model's packages stand behind the peer's own, which win where both have one.
    sys.path.extend(os.environ["PEER_MODEL_PATH"].split(os.pathsep))
    if os.environ["PEER_LOAD"] == "device":
        return _Device(json.loads(os.environ["SIMULATED_DEVICE"])).label
    return _Model().label


class _Device:
    """Cuts texts into tokens and waits as long as a device would compute, one call at a time.

    Args:
        times: seconds by what they are of: call, token, picture, post.
    """

    def __init__(self, times: dict[str, float]) -> None:
        from mmorient.digest import SHIPPED
        from mmorient.input.text import TextReader

        self._times = times
        self._reader = TextReader(SHIPPED / "tokenizer.json")
        self._busy = threading.Lock()

    def label(self, posts: Sequence[Post]) -> list[Labelled]:
        """Return labels after the time of one call for all."""
        from mmorient.input.text import post_text

        self._reader.windows([post_text(post["text"]) or "" for post in posts])
        tokens = sum(len(post["text"]) for post in posts) / _CHARACTERS_A_TOKEN
        with self._busy:
            time.sleep(self._times["call"] + self._times["token"] * tokens + self._times["post"] * len(posts))
        return [_labelled(post["id"], _ANSWERS) for post in posts]


class _Model:
    """The shipped checkpoint, on the processor."""

    def __init__(self) -> None:
        from mmorient import Moderator

        self._moderator = Moderator.from_checkpoint(os.environ.get("PEER_CHECKPOINT"))
        self._busy = threading.Lock()
        self._as_published = os.environ.get("PEER_CONTEXT") == "batch"

    def label(self, posts: Sequence[Post]) -> list[Labelled]:
        """Return labels of one call for all."""
        import mmorient

        with self._busy:
            wanted = [mmorient.Post(text=post["text"]) for post in posts]
            found = self._label_together(wanted) if self._as_published else self._moderator.label(wanted)
        answers = [{task: dict(one.tasks[task].probabilities) for task in TASKS} for one in found]
        return [_labelled(post["id"], one) for post, one in zip(posts, answers, strict=True)]

    def _label_together(self, posts: Sequence[Any]) -> Sequence[Any]:
        """Return labels in the paper's context, where each post is compared with the others of the call.

        The package offers no such thing, since a label would depend on its batch; its parts are put together here.
        """
        import torch

        embedded = self._moderator.embed(posts)
        heads = self._moderator._heads  # noqa: SLF001
        with torch.inference_mode():
            heads.context = heads.model.batch_context(heads.tensors(embedded))
        heads.rows = len(posts)
        labels: Sequence[Any] = self._moderator.classify(embedded)
        return labels


def _labelled(identifier: str, answers: dict[str, Any]) -> Labelled:
    return identifier.encode(), tuple(_label(identifier, task, answers[task]) for task in TASKS)


def _label(identifier: str, task: str, probabilities: dict[str, float]) -> bytes:
    label = {
        "post_id": identifier,
        "task": task,
        "label": max(probabilities, key=probabilities.__getitem__),
        "probabilities": probabilities,
        "intensity": {"label": "slight", "probabilities": _INTENSITY},
        "modalities": ["text"],
        "unavailable": [],
        "model": _STAMP,
        "schema": "label/1",
    }
    return json.dumps(label).encode()
