"""Training texts beside other words: an author's remark before what is drawn over a picture, or a description behind.

``ocr_text`` and ``alt_text`` are read behind a post's own text, a separator between (``text/2``). These copies teach
that what is drawn counts as what is written, and that a description of an ordinary picture says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mmorient.input.units import SEPARATOR
from mmorient.training.data.examples import TRAIN, Example

# What people write over a picture that they pass on: it says nothing about what is in it.
_REMARKS = (
    "lol",
    "me",
    "this",
    "mood",
    "same",
    "😂😂😂",
    "💀",
    "haha",
    "so true",
    "look at this",
    "found this",
    "every time",
    "tag a friend",
    "who made this",
    "from my feed",
    "monday be like",
    "no words",
    "saw this today",
    "lmao",
    "just saying",
    "thoughts?",
    "posting this here",
    "@user look",
    "repost",
)
_DESCRIPTIONS = (
    "a dog on a sofa",
    "a street at night",
    "two people at a table",
    "a plate of food",
    "a screenshot of a message",
    "a cat that looks out of a window",
    "a crowd in a stadium",
    "a woman who holds a sign",
    "a man in a suit",
    "a beach with palm trees",
    "a mug of coffee on a desk",
    "a bus stop in the rain",
    "a poster on a wall",
    "a group photo in front of a building",
    "a mountain with snow",
    "a car in a car park",
    "a child with a balloon",
    "a flower in a garden",
    "a chart with three lines",
    "a stage with lights",
)
# Memes, and texts that could be drawn over one: a remark stands before them in this share of the copies.
_REMARKED = {"memotion": 1.0, "sentiment": 0.3}
_OTHERWISE = 0.6


def beside_others(examples: Sequence[Example], copies: Mapping[str, int], seed: int) -> Iterator[Example]:
    """Copies of training texts beside other words, of the source ``SOURCE_beside``, with the labels that they have.

    Args:
        examples: Of any sources.
        copies: Source to copies of each of its training texts.
        seed: Of what stands beside them.
    """
    random = np.random.default_rng([seed, len(_REMARKS), len(_DESCRIPTIONS)])
    for example in examples:
        if example.split != TRAIN or not example.text.strip():
            continue
        for _ in range(copies.get(example.source, 0)):
            if random.random() < _REMARKED.get(example.source, _OTHERWISE):
                text = f"{_REMARKS[random.integers(len(_REMARKS))]}{SEPARATOR}{example.text}"
            else:
                text = f"{example.text}{SEPARATOR}{_DESCRIPTIONS[random.integers(len(_DESCRIPTIONS))]}"
            yield replace(example, source=f"{example.source}_beside", text=text)
