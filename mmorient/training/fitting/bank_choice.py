"""Which training posts become the reference bank: drawn while training, chosen by coverage when it is frozen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mmorient.errors import DataError
from mmorient.labels import TASKS
from mmorient.network.bank import Bank
from mmorient.network.mm_orient import MmOrient, PostTensors
from mmorient.training.data.examples import TRAIN, Example
from mmorient.training.fitting.vectors import Vectors

NEAR_DUPLICATE = 0.98
"""Cosine from which two posts of one stratum say the same."""
_CLASSES_OF = ("sentiment", "sarcasm", "offensiveness")
_OWN_POSTS = 512  # of each source, where the configuration names none of those that are there


def bank_counts(examples: Sequence[Example], counts: Mapping[str, int], own: Collection[str]) -> dict[str, int]:
    """How many reference posts each source gives: as configured, or 512 of each where it names none of those there.

    Args:
        examples: All that training reads.
        counts: Source to how many, as configured.
        own: Sources that may give some where none is configured; training adds others of its own making.

    Raises:
        DataError: The bank would be empty.
    """
    there = {one.source for one in examples if one.split == TRAIN and one.text}
    chosen = {source: counts[source] for source in counts if source in there}
    chosen = chosen or dict.fromkeys(sorted(there & set(own)), _OWN_POSTS)
    if not chosen:
        raise DataError("no example of the split train has a text that is not nearly one of the split val")
    return chosen


def draw_bank(examples: Sequence[Example], counts: Mapping[str, int], seed: int) -> list[int]:
    """Draw reference posts from the train split, as the context of training.

    Args:
        examples: All.
        counts: Source to how many.
        seed: Of the draw.

    Returns:
        Rows, in the order of the examples.
    """
    random = np.random.default_rng(seed)
    chosen: list[int] = []
    for source, count in counts.items():
        chosen += random.permutation(_candidates(examples, source))[:count].tolist()
    return sorted(chosen)


def choose_bank(
    examples: Sequence[Example], vectors: Vectors, counts: Mapping[str, int], width: int, seed: int
) -> list[int]:
    """Choose reference posts that cover each source's classes and, within a class, what is said and shown there.

    A source's share is divided over its strata (posts of the same sentiment, sarcasm and offensiveness) by the square
    root of their sizes, so that rare ones are there; a stratum is clustered by its global vectors (k-means), and the
    post nearest each centre is taken, unless it nearly repeats one that is there already.

    Args:
        examples: All.
        vectors: Of the examples.
        counts: Source to at most how many.
        width: D, of a global vector.
        seed: Of the clustering.

    Returns:
        Rows, in the order of the examples.
    """
    chosen: list[int] = []
    for source, count in counts.items():
        strata: dict[tuple[int, ...], list[int]] = {}
        for row in _candidates(examples, source):
            stratum = tuple(examples[row].targets.get(task, -1) for task in _CLASSES_OF)
            strata.setdefault(stratum, []).append(row)
        roots = {stratum: len(rows) ** 0.5 for stratum, rows in strata.items()}
        for stratum, rows in sorted(strata.items()):
            share = max(1, round(count * roots[stratum] / sum(roots.values())))
            chosen += _representatives(np.array(rows), _globals(vectors, rows, width), share, seed)
    return sorted(chosen)


def class_counts(examples: Sequence[Example], rows: Sequence[int]) -> dict[str, dict[str, int]]:
    """Task to class to how many of the chosen posts have it."""
    counts = {
        name: Counter(examples[row].targets[name] for row in rows if name in examples[row].targets) for name in TASKS
    }
    return {
        name: {label: counts[name][place] for place, label in enumerate(task.classes)} for name, task in TASKS.items()
    }


@torch.inference_mode()
def freeze_bank(model: MmOrient, bank: PostTensors, examples: Sequence[Example]) -> Bank:
    """The bank as a checkpoint holds it: global vectors, known labels, and u computed once."""
    text_bias, picture_bias = model.set_biases(bank)
    labels = torch.tensor([[example.targets.get(task, -1) for task in TASKS] for example in examples], dtype=torch.int8)
    text_index = bank.text_present.nonzero()[:, 0]
    picture_index = bank.picture_present.nonzero()[:, 0]
    return Bank(
        text_global=bank.text_global[text_index].half(),
        text_index=text_index.int(),
        picture_global=bank.picture_global[picture_index].half(),
        picture_index=picture_index.int(),
        text_bias=text_bias.half(),
        picture_bias=picture_bias.half(),
        labels=labels,
    )


def _candidates(examples: Sequence[Example], source: str) -> list[int]:
    return [
        row
        for row, example in enumerate(examples)
        if (example.source, example.split) == (source, TRAIN) and example.text
    ]


def _globals(vectors: Vectors, rows: Sequence[int], width: int) -> NDArray[np.float32]:
    """Text's and picture's global vectors side by side, zeros where absent: ``[n, 2 D]``."""
    picture_row = vectors.picture_row[list(rows)]
    pictures = vectors.pictures[picture_row.clamp(min=0)][:, -width:].float() * (picture_row >= 0)[:, None]
    both: NDArray[np.float32] = torch.cat([vectors.texts[list(rows)][:, -width:].float(), pictures], dim=-1).numpy()
    return both


def _representatives(rows: NDArray[np.int64], globals_: NDArray[np.float32], count: int, seed: int) -> list[int]:
    from sklearn.cluster import MiniBatchKMeans

    lengths = np.linalg.norm(globals_, axis=1, keepdims=True)
    directions = globals_ / np.maximum(lengths, 1e-9)
    if len(rows) <= count:
        order = np.arange(len(rows))
    else:
        clusters = MiniBatchKMeans(count, random_state=seed, n_init=1, batch_size=4096).fit(directions)
        distances = np.linalg.norm(directions - clusters.cluster_centers_[clusters.labels_], axis=1)
        members = [np.flatnonzero(clusters.labels_ == one) for one in range(count)]
        order = np.array([own[distances[own].argmin()] for own in members if len(own)])
    kept: list[int] = []
    for place in order:
        if not kept or float((directions[kept] @ directions[place]).max()) < NEAR_DUPLICATE:
            kept.append(int(place))
    return [int(row) for row in rows[kept]]
