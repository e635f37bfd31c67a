"""The fairness set and what is measured on it."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from string import Formatter

import pytest
from click.testing import CliRunner

from mmorient.input.posts import Post
from mmorient.labels import TASKS, PostLabels, TaskLabel
from mmorient.training import fairness_cli
from mmorient.training.data.identity import _PLAIN, AXES, names_identity
from mmorient.training.judging.fairness import FairnessPost, FairnessScore, fairness_posts, measure_fairness
from mmorient.training.judging.fairness_set import GROUPS, HARMLESS, HOSTILE, PROFANITY, REFERENCE, Group
from mmorient.training.judging.functional import measure_functional

POSTS = fairness_posts()
TEMPLATES = [template for kinds in (HARMLESS, HOSTILE) for templates in kinds.values() for template in templates]


class _Rule:
    """A moderator that calls offensive what its rule says."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def label(self, posts: Sequence[Post]) -> list[PostLabels]:
        self.batches.append(len(posts))
        return [self._labels(self.offends(post.text or "")) for post in posts]

    def offends(self, text: str) -> bool:
        raise NotImplementedError

    @staticmethod
    def _labels(offensive: bool) -> PostLabels:  # noqa: FBT001
        share = 0.9 if offensive else 0.2
        answers = {
            task: TaskLabel(classes[offensive], dict(zip(classes, (1 - share, share), strict=True)))
            for task in ("offensiveness", "sarcasm")
            for classes in [TASKS[task].classes]
        }
        return PostLabels(answers, ("text",))


class AlwaysOffensiveAboutOneGroup(_Rule):
    """Calls all posts about Sikhs offensive and none else."""

    def offends(self, text: str) -> bool:
        return "Sikh" in text


class BlindToGroups(_Rule):
    """Judges the sentence alone, and errs on some of either kind."""

    def offends(self, text: str) -> bool:
        return any(said in text for said in ("animals", "vermin", "i hate", "party", "wait"))


class HalfBlindToWomen(_Rule):
    """Misses half of the sentences that are hostile to women, and no other."""

    def __init__(self) -> None:
        super().__init__()
        hostile = [post for post in POSTS if post.hostile]
        self._missed = {post.text for post in [post for post in hostile if post.group == "female"][::2]}
        self._found = {post.text for post in hostile}

    def offends(self, text: str) -> bool:
        return text in self._found - self._missed


def by_group(score: FairnessScore) -> dict[str, tuple[float, float]]:
    return {one.group: (one.false_positives.value, one.recall.value) for one in score.groups}


def test_each_sentence_is_said_of_each_group() -> None:
    """Enough sentences of either truth, each post once, its text its sentence with the group in it."""
    assert sum(map(len, HARMLESS.values())) >= 40 + len(HARMLESS[PROFANITY])
    assert sum(map(len, HOSTILE.values())) >= 25
    assert Counter(post.group for post in POSTS) == {group.name: len(TEMPLATES) for group in GROUPS}
    assert len({post.text for post in POSTS}) == len(POSTS)


def test_groups_are_those_of_training_and_others() -> None:
    """Every group of the training's counterfactuals is there but some, and groups that no training text adds."""
    forms = {form.lower() for group in GROUPS for form in (*group.many.split(), group.trait, group.adjective)}
    named_in_training_alone = {
        "catholic",
        "mormon",
        "pansexual",
        "homosexual",
        "nigerian",
        "somali",
        "syrian",
        "russian",
        "brazilian",
        "filipino",
        "palestinian",
        "israeli",
        "migrant",
        "dyslexic",
    }
    assert {
        named[0] for groups in AXES.values() for named in groups if not forms & set(named)
    } == named_in_training_alone
    assert {group.axis for group in GROUPS} == {*AXES, "age", "none"}
    assert sum(not group.in_training for group in GROUPS if group is not REFERENCE) >= 8


@pytest.mark.parametrize("post", [post for post in POSTS if post.group == "none"], ids=lambda post: post.template[:30])
def test_the_reference_names_no_group(post: FairnessPost) -> None:
    """What a sentence says besides the group names none."""
    assert not names_identity(post.text)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_sentences_are_grammatical(group: Group) -> None:
    """No braces, no double spaces, no capital lost, the article that the next word asks for."""
    for text in (post.text for post in POSTS if post.group == group.name):
        assert not re.search(r"[{}]|\s\s|^\s|\s$|\s[.,?!:]", text), text
        assert not re.search(r"\ba (?!european\b)[aeiou]", text, re.IGNORECASE), text
        assert not re.search(r"\ban (?!hour\b)[^aeiou]", text, re.IGNORECASE), text
        assert not re.search(r"\b(\w+) \1\b", text, re.IGNORECASE), text
        assert not re.search(r"\b(an?|the|my|our|that|this) (an?|the)\b", text, re.IGNORECASE), text


def test_templates_are_not_those_of_training() -> None:
    """No sentence is nearly one that the training adds, nor nearly another of the set."""

    def bare(template: str) -> str:
        words = "".join(before + ("x" if field else "") for before, field, *_ in Formatter().parse(template))
        return re.sub(r"[^a-z ]", "", words.lower())

    own = list(map(bare, TEMPLATES))
    for place, one in enumerate(own):
        for other in (*map(bare, _PLAIN), *own[:place]):
            assert SequenceMatcher(None, one, other, autojunk=False).ratio() < 0.75, (one, other)


def test_one_group_always_called_offensive_makes_the_gap() -> None:
    """The gap is between that group and the others, in false positives as in recall, whatever is drawn."""
    moderator = AlwaysOffensiveAboutOneGroup()
    score = measure_fairness(moderator)
    assert by_group(score) == {group.name: ((100, 100) if group.name == "sikh" else (0, 0)) for group in GROUPS}
    for gap in (score.gap, score.recall_gap):
        assert (gap.value, gap.low, gap.high) == (100, 100, 100)
    sikh = next(one for one in score.groups if one.group == "sikh")
    assert (sikh.harmless_probability, sikh.hostile_probability, sikh.in_training) == (90, 90, False)
    assert score.false_positives.value == round(100 / (len(GROUPS) - 1), 2)
    assert sum(moderator.batches) == len(POSTS)
    assert max(moderator.batches) == 256


def test_errors_shared_by_all_groups_are_no_gap() -> None:
    """Sentences are drawn, not posts: where the group changes nothing, the gap is 0 in every draw."""
    score = measure_fairness(BlindToGroups())
    assert 0 < score.false_positives.low < score.false_positives.value < score.false_positives.high < 100
    assert len(set(by_group(score).values())) == 1
    assert (score.gap.value, score.gap.low, score.gap.high) == (0, 0, 0)
    assert all(kind.offensive == kind.reference for kind in score.kinds)


def test_missed_hostility_shows_in_recall_alone() -> None:
    """Half of one group's hostile posts missed: that recall, that gap, an interval around it, no false positive."""
    score = measure_fairness(HalfBlindToWomen())
    assert score.false_positives.value == score.gap.value == 0
    assert by_group(score)["female"] == (0, 50)
    assert score.recall_gap.value == 50
    assert 25 < score.recall_gap.low < 50 < score.recall_gap.high < 75


def test_profanity_stands_in_the_kinds_alone() -> None:
    """A group's posts leave profanity out, whose truth is open; its kind has a line of its own."""
    score = measure_fairness(BlindToGroups())
    expected = len(TEMPLATES) - len(HARMLESS[PROFANITY])
    assert {one.posts for one in score.groups} == {expected}
    assert [kind.kind for kind in score.kinds] == [*HARMLESS, *HOSTILE]


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command labels with a moderator that is hard on one group."""
    monkeypatch.setattr(fairness_cli, "load_moderator", lambda _: AlwaysOffensiveAboutOneGroup())


@pytest.mark.usefixtures("chosen")
def test_the_command_prints_json() -> None:
    """All of the score, as a program reads it."""
    ran = CliRunner().invoke(fairness_cli.fairness, ["--json"])
    assert ran.exit_code == 0
    said = json.loads(ran.stdout)
    functional = [kind.as_dict() for kind in measure_functional(AlwaysOffensiveAboutOneGroup())]
    assert said == {**measure_fairness(AlwaysOffensiveAboutOneGroup()).as_dict(), "functional": functional}
    assert said["gap"] == {"value": 100, "low": 100, "high": 100}


@pytest.mark.usefixtures("chosen")
def test_the_command_prints_the_worst_group_first() -> None:
    """A line a group by falling rate of false positives, the total, the gap, then a line a kind, of either set."""
    ran = CliRunner().invoke(fairness_cli.fairness, [])
    assert ran.exit_code == 0
    lines = ran.stdout.splitlines()
    assert lines[1].startswith("sikh* ")
    assert lines[1 + len(GROUPS)].startswith("all groups")
    assert lines[2 + len(GROUPS)].split()[:2] == ["gap", "100.00"]
    of_fairness = 1 + len(GROUPS) + 2 + 2 + len(HARMLESS) + len(HOSTILE)
    functional = measure_functional(AlwaysOffensiveAboutOneGroup())
    assert len(lines) == of_fairness + 2 + len(functional) + len({kind.label for kind in functional})
    assert lines[of_fairness + 1].startswith("functional kind")
