"""The held-out functional sentences and what is measured on them."""

from collections.abc import Sequence

from mmorient.input.posts import Post
from mmorient.labels import TASKS, PostLabels, TaskLabel
from mmorient.training.data.contrast import contrast_pairs, held_out
from mmorient.training.judging.functional import measure_functional

KINDS = held_out()


class CallsOffensive:
    """A moderator that calls the given texts offensive, and nothing sarcastic."""

    def __init__(self, texts: set[str]) -> None:
        self._texts = texts

    def label(self, posts: Sequence[Post]) -> list[PostLabels]:
        return [
            PostLabels(
                {"offensiveness": _answer("offensiveness", post.text in self._texts), "sarcasm": _answer("sarcasm", 0)},
                ("text",),
            )
            for post in posts
        ]


def _answer(task: str, index: int) -> TaskLabel:
    classes = TASKS[task].classes
    share = 0.75 if index else 0.25
    return TaskLabel(classes[index], dict(zip(classes, (1 - share, share), strict=True)))


def test_nothing_is_trained_on_them() -> None:
    """No held-out sentence, with any of its groups, is among the training's."""
    trained = {pair.text.lower() for seed in range(3) for pair in contrast_pairs(seed)}
    assert not [text for kind in KINDS for text in kind.texts if text.lower() in trained]


def test_there_are_enough_of_each_side() -> None:
    """Hostile and harmless kinds, ironic and sincere ones, each of several sentences and without a slot left over."""
    assert sum(len(kind.texts) for kind in KINDS) >= 900
    assert min(len(kind.texts) for kind in KINDS) >= 5
    assert not [text for kind in KINDS for text in kind.texts if "{" in text]
    for task in ("offensiveness", "sarcasm"):
        for label in TASKS[task].classes:
            assert sum(kind.labels.get(task) == label for kind in KINDS) >= 3, label


def test_they_are_the_same_each_time() -> None:
    """So that two checkpoints are measured by the same sentences."""
    assert held_out() == KINDS


def test_a_share_is_of_the_kind() -> None:
    """One kind called offensive: all of its sentences are right if they are, none if they are not."""
    hostile = next(kind for kind in KINDS if kind.labels.get("offensiveness") == "offensive")
    harmless = next(kind for kind in KINDS if kind.labels.get("offensiveness") == "not_offensive")
    half = set(hostile.texts[::2])
    scores = {
        one.kind: one
        for one in measure_functional(CallsOffensive({*half, *harmless.texts}))
        if one.task == "offensiveness"
    }
    found, wronged = scores[hostile.kind], scores[harmless.kind]
    assert found.right == round(100 * len(half) / len(hostile.texts), 2)
    assert found.posts == len(hostile.texts)
    assert (wronged.label, wronged.right, wronged.probability) == ("not_offensive", 0, 25)
    others = [one for kind, one in scores.items() if kind not in {hostile.kind, harmless.kind}]
    assert {one.right for one in others if one.label == "offensive"} == {0}
    assert {one.right for one in others if one.label == "not_offensive"} == {100}


def test_sarcasm_stands_on_lines_of_its_own() -> None:
    """A kind that says both tasks has a line for each."""
    scores = measure_functional(CallsOffensive(set()))
    assert len(scores) == sum(len(kind.labels) for kind in KINDS)
    assert {one.right for one in scores if one.label == "sarcastic"} == {0}
    assert {one.right for one in scores if one.label == "not_sarcastic"} == {100}
