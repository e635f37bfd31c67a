"""Which training posts become the bank's."""

from dataclasses import replace

import pytest
import torch

from mmorient.errors import DataError
from mmorient.training.data.examples import Example
from mmorient.training.fitting.bank_choice import bank_counts, choose_bank, class_counts, draw_bank
from mmorient.training.fitting.vectors import Vectors


def test_own_posts_fill_the_bank_where_no_configured_set_is_there() -> None:
    """What is configured wins; else each source of one's own gives some; no training post is said in one line."""
    own = Example("posts", "train", "it rains", None, {"sarcasm": 0})
    made = replace(own, source="plain")
    assert bank_counts([own, made], {"memotion": 9}, {"posts"}) == {"posts": 512}
    assert bank_counts([own, replace(own, source="memotion")], {"memotion": 9}, {"posts"}) == {"memotion": 9}
    with pytest.raises(DataError, match="no example of the split train"):
        bank_counts([replace(own, split="val")], {"memotion": 9}, {"posts"})


def test_the_bank_covers_classes_and_says_nothing_twice() -> None:
    """A rare class is there by more than its share; near duplicates are not; validation posts never."""
    generator = torch.Generator().manual_seed(0)
    examples = [Example("irony", "train", f"t{n}", None, {"sarcasm": int(n >= 190)}) for n in range(200)]
    examples.append(Example("irony", "val", "v", None, {"sarcasm": 1}))
    texts = torch.randn(201, 8, generator=generator)
    texts[:50] = texts[0]
    none = torch.full((201,), -1)
    vectors = Vectors(texts.half(), torch.ones(201, dtype=torch.bool), torch.zeros(1, 8), none)
    chosen = choose_bank(examples, vectors, {"irony": 30}, 4, 0)
    assert 200 not in chosen
    assert len([row for row in chosen if row < 50]) <= 1
    counts = class_counts(examples, chosen)["sarcasm"]
    assert counts["sarcastic"] >= 5
    assert counts["not_sarcastic"] >= 15
    assert len(draw_bank(examples, {"irony": 30}, 0)) == 30
    assert chosen == choose_bank(examples, vectors, {"irony": 30}, 4, 0)
