"""What the steps of a training show: posts, how often and in which batches, with and without what belongs to them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmorient.input.units import SEPARATOR
from mmorient.training.data.beside import beside_others
from mmorient.training.data.examples import Example
from mmorient.training.data.identity import counterfactuals, names_identity, plain_mentions
from mmorient.training.data.readers import read_all
from mmorient.training.fitting.batches import epochs_of
from mmorient.training.fitting.preparing import fresh_model, prepare
from tests.mmorient.made_sets import write_sets
from tests.mmorient.training.joint_runs import CONFIG


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """Of every set."""
    root = tmp_path_factory.mktemp("data")
    write_sets(root)
    return read_all(root)


def test_every_epoch_shows_what_the_configuration_takes(examples: list[Example], tmp_path: Path) -> None:
    """Irony twice, others at most so often; validation posts never; lengths together."""
    prepared = prepare(examples, CONFIG, tmp_path)
    first = [row for batch in epochs_of(prepared.data, CONFIG)[0] for row in batch]
    sources = [prepared.data.examples[row].source for row in first]
    assert sources.count("irony") == 24
    assert sources.count("plain") == 8
    assert sources.count("mmsd2") == 4
    assert {prepared.data.examples[row].split for row in first} == {"train"}


def test_epochs_differ_and_repeat_by_seed(examples: list[Example], tmp_path: Path) -> None:
    """Another order each epoch, the same for the same seed."""
    prepared = prepare(examples, CONFIG, tmp_path)
    one, other = epochs_of(prepared.data, CONFIG)
    assert one != other
    assert [one, other] == epochs_of(prepared.data, CONFIG)
    assert np.unique([row for batch in one for row in batch]).size > 50


def test_dropped_modalities_and_muted_labels(examples: list[Example], tmp_path: Path) -> None:
    """A meme that lost its picture teaches nothing of what only the whole says; a lone modality is never dropped."""
    changed = {"drop_picture": 1.0, "drop_text": 0.0, "muted": ("memotion/sarcasm",), "shares": {}}
    config = CONFIG.model_copy(update=changed)
    prepared = prepare(examples, config, tmp_path)
    rows = [row for row, one in enumerate(prepared.data.examples) if one.source == "memotion" and row % 3]
    batch = prepared.data.batch(rows, config)
    had = torch.from_numpy(prepared.data.has_text[rows] & (prepared.data.picture_row[rows] >= 0))
    assert not (batch.picture_present & had).any()
    assert batch.text_present.all()
    column = prepared.data.heads.index("sarcasm")
    assert (batch.weights[had, column] == 0).all()
    assert (batch.weights[had, prepared.data.heads.index("humour")] == 0.5).all()


def test_texts_are_shown_with_ordinary_pictures_too(examples: list[Example], tmp_path: Path) -> None:
    """Pictures of training tweets alone, one or more beside each text that has none; nothing where posts stay whole."""
    prepared = prepare(examples, CONFIG, tmp_path)
    known, set_ = prepared.data.examples, prepared.data
    ordinary = {int(set_.picture_row[row]) for row, one in enumerate(known) if one.source == "mvsa"}
    assert set(set_.ordinary.tolist()) < ordinary
    rows = [row for row, one in enumerate(known) if one.source in {"irony", "mvsa"} and one.split == "train"]
    config = CONFIG.model_copy(update={"photos": 1.0, "photos_most": 4})
    torch.manual_seed(0)
    batch = set_.batch(rows, config)
    bare = [place for place, row in enumerate(rows) if known[row].source == "irony"]
    assert batch.photos.posts.tolist() == bare
    counts = torch.bincount(batch.photos.owners)
    assert len(counts) == len(bare)
    assert set(counts.tolist()) <= {1, 2, 3, 4}
    assert counts.max() > 1
    model = fresh_model(CONFIG).eval()
    with torch.no_grad():
        posts = model.embed(batch)
        shown = model.with_photos(posts, batch.photos)
    assert torch.equal(shown.text, posts.text[bare])
    assert shown.picture_present.all()
    assert torch.allclose(shown.picture_global.norm(dim=1), torch.ones(len(bare)), atol=1e-5)
    assert not len(set_.batch(rows, None).photos.posts)
    assert not len(set_.batch(rows, config.model_copy(update={"photos": 0.0})).photos.posts)


def test_classes_count_in_the_shares_that_are_wanted(examples: list[Example], tmp_path: Path) -> None:
    """Of a set's training posts; a set of one class counts as it is."""
    config = CONFIG.model_copy(update={"shares": {"sarcasm": (0.9, 0.1)}, "weights": {}})
    set_ = prepare(examples, config, tmp_path).data
    column = set_.heads.index("sarcasm")
    rows = [row for row, one in enumerate(set_.examples) if one.source == "memotion" and one.split == "train"]
    weights, truth = set_.weights[rows, column], set_.targets[rows, column]
    assert float(weights[truth == 1].sum() / weights.sum()) == pytest.approx(0.1)
    assert float(weights.mean()) == pytest.approx(1)
    assert set(set_.weights[:, set_.heads.index("sentiment")].tolist()) == {1.0}


def test_words_stand_beside_others() -> None:
    """With the labels that they had, from a source of their own; a meme's words stand behind a remark."""
    meme = Example("memotion", "train", "MEME", Path("a.jpg"), {"sarcasm": 1})
    tweet = Example("offensive", "train", "you fool", None, {"offensiveness": 1})
    made = list(beside_others([meme, tweet, replace(tweet, split="val")], {"memotion": 2, "offensive": 30}, 0))
    assert [one.source for one in made] == ["memotion_beside"] * 2 + ["offensive_beside"] * 30
    assert all(one.text.endswith(f"{SEPARATOR}MEME") and one.targets == {"sarcasm": 1} for one in made[:2])
    assert {one.text.split(SEPARATOR).index("you fool") for one in made[2:]} == {0, 1}


def test_counterfactuals_swap_groups_alone() -> None:
    """The same words, another group of the same axis; texts that name none have no copy."""
    named = Example("hate", "train", "my Muslim neighbour and other muslims sing", None, {"probe_hate": 0})
    plain = Example("hate", "train", "it rains", None, {"probe_hate": 0})
    (copy,) = counterfactuals([named, plain, replace(named, split="val")], 1, 0)
    assert copy.source == "hate_swapped"
    assert copy.targets == named.targets
    assert "muslim" not in copy.text.lower()
    assert copy.text.startswith("my ")
    assert copy.text.endswith(" sing")
    assert names_identity(copy.text)
    assert all(names_identity(one.text) and one.targets["offensiveness"] == 0 for one in plain_mentions())
