"""Posts that stand in two splits, almost word for word: what validates must not have been learned."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from mmorient.input.normaliser import normal_word
from mmorient.training.data.examples import TRAIN, Example

_SHINGLE = 3
_SAME = 0.6
_COMMON = 200  # a shingle in more texts than this tells nothing


def without_crossing(examples: Sequence[Example]) -> list[Example]:
    """Leave out training posts that nearly repeat a validation post of any set.

    Two texts are near duplicates if their sets of three consecutive normalised words overlap by 0.6 or more (Jaccard);
    shorter texts only if they are the same. Posts with a picture are held against each other by their text, too: the
    sets' own splits group near-duplicate pictures.
    """
    shingles = [_shingles(example.text) for example in examples]
    counts = Counter(one for own in shingles for one in own)
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, example in enumerate(examples):
        if example.split != TRAIN:
            for one in shingles[index]:
                if counts[one] <= _COMMON:
                    holders[one].append(index)
    kept = []
    for index, example in enumerate(examples):
        near = {other for one in shingles[index] for other in holders.get(one, ())}
        if example.split == TRAIN and any(_overlap(shingles[index], shingles[other]) >= _SAME for other in near):
            continue
        kept.append(example)
    return kept


def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    words = [word for raw in text.split() if (word := normal_word(raw)) not in {"", "http", "@user"}]
    if len(words) < _SHINGLE:
        return frozenset({tuple(words)} if words else ())
    return frozenset(tuple(words[start : start + _SHINGLE]) for start in range(len(words) - _SHINGLE + 1))


def _overlap(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    return len(one & other) / len(one | other)
