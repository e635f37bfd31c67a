"""The contrast pairs: that they are well formed, balanced, and nowhere among what the model is judged by."""

import json
import re
import tomllib
from collections import Counter
from difflib import SequenceMatcher
from pathlib import Path

import pytest

from mmorient.errors import DataError
from mmorient.labels import TASKS
from mmorient.training.data import contrast
from mmorient.training.data.contrast import VERSIONS, contrast_pairs, kind_targets
from mmorient.training.data.identity import _PLAIN, AXES
from mmorient.training.judging.fairness_set import HARMLESS, HOSTILE

ROOT = Path(__file__).parents[3]
DATA = Path(contrast.__file__).parent
FILES = [tomllib.loads((DATA / name).read_text(encoding="utf-8")) for name in ("contrast.toml", "functional.toml")]
KINDS = [kind for file in FILES for kind in file["kind"]]
SENTENCES = [text for kind in KINDS for text in kind["texts"]]
HELD_OUT = [text for kind in KINDS for text in kind.get("held_out", ())]
PAIRS = list(contrast_pairs(0))


def plain(text: str) -> str:
    """The words and emoji alone, whatever a slot is called: what makes two sentences the same."""
    return " ".join(re.findall(r"[^\W_]+|[^\x00-\x7f]", re.sub(r"\{\w+\}", "GROUP", text))).lower() or text


def counts(head: str) -> Counter[int]:
    """How many training posts of each class there are."""
    return Counter(pair.targets[head] for pair in PAIRS if head in pair.targets)


def test_they_are_posts_of_the_training_part() -> None:
    """All of one source, without a picture, without a slot that was left over, with at least one label."""
    assert {(pair.source, pair.split, pair.picture) for pair in PAIRS} == {("contrast", "train", None)}
    assert not [pair.text for pair in PAIRS if "{" in pair.text or not pair.text.strip()]
    assert not [pair.text for pair in PAIRS if not pair.targets]
    slots = {slot for text in SENTENCES for slot in re.findall(r"\{(.*?)\}", text)}
    words = {name for file in FILES for name in file.get("words", {})}
    assert slots <= {"a", "p", "s", *words, *(f"{word}s" for word in words)}
    assert not [word for word in words if slots.isdisjoint({word, f"{word}s"})]


def test_classes_exist_and_agree() -> None:
    """A probe's class is its task's, a degree is one of an offensive post, and who attacks a group offends."""
    for pair in PAIRS:
        targets = pair.targets
        for task, probe in (("sentiment", "sentiment"), ("sarcasm", "sarcasm"), ("offensiveness", "offensive")):
            assert targets.get(task) == targets.get(f"probe_{probe}")
            assert targets.get(task, 0) in range(len(TASKS[task].classes))
        if "offensiveness_degrees" in targets:
            assert targets["offensiveness"] == 1
            assert targets["offensiveness_degrees"] in range(3)
        if "probe_hate" in targets:
            assert targets["probe_hate"] <= targets["offensiveness"]


def test_a_degree_is_its_index_without_not_at_all() -> None:
    """As Memotion's reader gives it."""
    kind = {"name": "k", "texts": [], "offensiveness": "offensive", "offensiveness_degree": "hateful_offensive"}
    assert kind_targets(kind) == {"offensiveness": 1, "probe_offensive": 1, "offensiveness_degrees": 2}


@pytest.mark.parametrize(
    "wrong", [{"sarcasm": "ironic"}, {"offensiveness_degree": "not_offensive"}, {"sentimint": "negative"}]
)
def test_a_wrong_class_is_named(wrong: dict[str, str]) -> None:
    """Kind and class are in the message, or the key that does not exist."""
    with pytest.raises(DataError, match=r"kind odd.*(ironic|not_offensive|sentimint)"):
        kind_targets({"name": "odd", "texts": [], **wrong})


def test_nothing_is_said_twice() -> None:
    """No sentence repeats another, whatever its group, nor one of the plain mentions."""
    said = Counter([*map(plain, SENTENCES), *map(plain, HELD_OUT), *map(plain, _PLAIN)])
    assert [text for text, times in said.items() if times > 1] == []
    assert len(SENTENCES) >= 2000


def near(one: str, other: str) -> bool:
    """Whether two sentences share most of their words in the same order."""
    first, second = one.split(), other.split()
    longer = max(len(first), len(second))
    if 2 * len(set(first) & set(second)) < longer:
        return False
    return SequenceMatcher(None, first, second, autojunk=False).ratio() >= 0.75


@pytest.mark.slow
def test_none_is_of_the_sets_that_judge() -> None:
    """Nor nearly one of the fairness set or of the sample posts."""
    fairness = [text for kinds in (HARMLESS, HOSTILE) for texts in kinds.values() for text in texts]
    lines = (ROOT / "samples" / "posts.jsonl").read_text(encoding="utf-8").splitlines()
    samples = [text for line in lines if (text := json.loads(line).get("text"))]
    judged = {words for text in (*fairness, *samples) if len((words := plain(text)).split()) > 1}
    ours = {plain(text) for text in (*SENTENCES, *HELD_OUT)}
    assert [(own, other) for own in ours for other in judged if near(own, other)] == []


def test_balance() -> None:
    """A class is not learned from how often it is said here."""
    offensiveness, sarcasm = counts("offensiveness"), counts("sarcasm")
    assert 0.4 <= offensiveness[1] / offensiveness.total() <= 0.6
    assert sarcasm[1] >= 180
    assert sarcasm[0] >= sarcasm[1]
    hate = counts("probe_hate")
    assert 0.4 <= hate[1] / hate.total() <= 0.6
    assert min(counts("sentiment")[index] for index in range(3)) >= 70
    assert set(counts("offensiveness_degrees")) == {0, 1, 2}


@pytest.mark.parametrize("attacked", [0, 1])
def test_groups_stand_evenly_on_either_side(attacked: int) -> None:
    """No group is named half as often again as another, neither in hostile sentences nor in harmless ones."""
    texts = [pair.text for pair in PAIRS if pair.targets.get("probe_hate") == attacked]
    named = [
        sum(bool(re.search(rf"\b({'|'.join(forms)})\b", text)) for text in texts)
        for axis in ("religion", "origin")
        for forms in AXES[axis]
    ]
    assert max(named) <= 1.5 * min(named)


def test_each_slot_gets_its_versions() -> None:
    """A sentence with a slot stands four times, about four groups; one without stands once."""
    slotted = sum("{" in text for text in SENTENCES)
    assert len(PAIRS) == len(SENTENCES) + (VERSIONS - 1) * slotted
    assert max(Counter(pair.text for pair in PAIRS).values()) == 1


def test_the_seed_decides() -> None:
    """The same seed, the same posts; another seed, other groups and the same sentences."""
    again, other = list(contrast_pairs(0)), list(contrast_pairs(1))
    assert again == PAIRS
    assert [pair.text for pair in other] != [pair.text for pair in PAIRS]
    assert [pair.targets for pair in other] == [pair.targets for pair in PAIRS]


def test_articles() -> None:
    """An indefinite article goes by the group."""
    texts = " ".join(pair.text.lower() for pair in PAIRS)
    assert re.search(r"\ban (american|immigrant|arab|indian|asian|african|atheist|islamic)\b", texts)
    assert not re.search(r"\ba (american|immigrant|arab|indian|asian|african|atheist|islamic)\b", texts)


def test_adjectives_are_not_nouns() -> None:
    """Nobody writes "a deaf": a person or people are named."""
    texts = " ".join(pair.text.lower() for pair in PAIRS)
    assert "deaf person" in texts
    assert "deaf people" in texts
    assert "white people" in texts
    assert "whites" in texts
