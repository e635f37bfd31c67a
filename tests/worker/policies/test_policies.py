"""From labels to decisions: a pure function, in which the order of rules means nothing."""

import copy
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmorient.labels import PostLabels
from tests.worker.policies.rules import COMMUNITIES, labels, rule, rules
from worker.errors import SettingsError
from worker.policies.canonical import dumps, loads
from worker.policies.policies import MOST_RULES, Outcome, Policies
from worker.policies.rule import Rule

SHARES = st.floats(0.01, 0.99)


def decided(policies: Policies, community: str | None, of: PostLabels) -> list[tuple[str, str]]:
    """Return decisions with the rules that they follow from."""
    return [(one.rule.decision, one.rule.name) for one in policies.decide(community, of.tasks).decisions]


def test_a_probability_that_reaches_the_threshold_decides() -> None:
    """As it is published: four decimals, and equal is enough."""
    of = labels(offensiveness=0.7)
    assert of.tasks["offensiveness"].probabilities["offensive"] == 0.7
    assert decided(Policies([rule(threshold=0.7)]), None, of) == [("review", "review")]
    assert decided(Policies([rule(threshold=0.7001)]), None, of) == []
    assert Policies().decide("gardening", of.tasks) == Outcome()


def test_what_decides_says_why() -> None:
    """The rule, with its threshold, and the probability as the label has it."""
    (one,) = Policies([rule(threshold=0.5)]).decide(None, labels(offensiveness=0.75).tasks).decisions
    assert (one.rule.threshold, one.probability) == (0.5, 0.75)


def test_a_degree_is_looked_at_in_the_intensity() -> None:
    """Also where the label is another degree."""
    of = labels(offensiveness=0.9)
    intensity = of.tasks["offensiveness"].intensity
    assert intensity is not None
    share = intensity.probabilities["hateful_offensive"]
    assert 0 < share < 0.5
    assert decided(Policies([rule(label="hateful_offensive", threshold=share)]), None, of)
    assert not decided(Policies([rule(label="hateful_offensive", threshold=share + 0.0001)]), None, of)


@pytest.mark.parametrize(
    ("pattern", "matched", "passed"),
    [
        ("*", [None, "", "games"], []),
        ("games", ["games"], [None, "Games", "games2", "a games"]),
        ("games*", ["games", "games.retro", "games\nretro"], [None, "a games"]),
        ("game?", ["games"], ["game", "gamess"]),
        ("[gG]ames", ["games", "Games"], ["ames"]),
        ("**", ["", "games"], [None]),
    ],
)
def test_patterns_of_communities(pattern: str, matched: list[str | None], passed: list[str | None]) -> None:
    """A post without a community is matched by `*` alone."""
    policies, of = Policies([rule(community=pattern)]), labels(offensiveness=0.9)
    assert [one for one in (*matched, *passed) if decided(policies, one, of)] == matched


def test_of_a_group_the_rule_in_force_decides_and_no_other() -> None:
    """A community can have a higher threshold than all others, a lower one, or none at all."""
    policies = Policies(
        [
            rule("everywhere", threshold=0.7),
            rule("games", community="games*", threshold=0.9),
            rule("quiet", community="games.quiet", threshold=0.3),
            rule("satire", community="satire", threshold="never"),
        ]
    )
    low, high = labels(offensiveness=0.5), labels(offensiveness=0.8)
    assert decided(policies, "games", high) == []
    assert decided(policies, "games.quiet", low) == [("review", "quiet")]
    assert decided(policies, "satire", high) == []
    assert decided(policies, "gardening", high) == [("review", "everywhere")]


def test_priority_goes_before_the_pattern_and_the_pattern_before_the_name() -> None:
    """Fixed characters make a pattern narrow, not its length."""
    of = labels(offensiveness=0.8)
    narrow, wide = rule("narrow", community="games"), rule("wide", community="*[a-z]*[a-z]*")
    assert decided(Policies([narrow, wide]), "games", of) == [("review", "narrow")]
    first = wide.model_copy(update={"priority": 1})
    assert decided(Policies([narrow, first]), "games", of) == [("review", "wide")]
    tie = [rule("b", community="g*"), rule("a", community="*s")]
    assert decided(Policies(tie), "games", of) == [("review", "a")]


def test_decisions_of_several_groups_stand_by_priority() -> None:
    """Of equal priority by the rules' names."""
    policies = Policies(
        [
            rule("c", threshold=0.5),
            rule("b", threshold=0.6, decision="hide"),
            rule("a", task="sarcasm", label="sarcastic", threshold=0.5, decision="note"),
            rule("z", decision="remove", priority=5),
        ]
    )
    of = labels(offensiveness=0.9, sarcasm=0.9)
    assert decided(policies, None, of) == [("remove", "z"), ("note", "a"), ("hide", "b"), ("review", "c")]


def test_a_shadow_rule_decides_nothing_and_is_counted() -> None:
    """As what would change if it were active; where nothing is decided either way, it is not counted."""
    policies = Policies(
        [
            rule("live", threshold=0.6),
            rule("lower", community="g*", threshold=0.4, shadow=True),
            rule("higher", community="g*", threshold=0.8, shadow=True),
            rule("never", community="g*", threshold="never", shadow=True),
            rule("outranked", threshold=0.1, priority=-1, shadow=True),
            rule("wide", threshold=0.65, shadow=True),
            rule("alone", task="sarcasm", label="sarcastic", shadow=True),
        ]
    )

    def shadows(share: float, sarcasm: float = 0.1) -> dict[str, str]:
        found = policies.decide("games", labels(offensiveness=share, sarcasm=sarcasm).tasks)
        assert [one.rule.name for one in found.decisions] == (["live"] if share >= 0.6 else [])
        return {one.rule.name: one.change for one in found.shadows}

    assert shadows(0.2) == {}
    assert shadows(0.5) == {"lower": "adds"}
    assert shadows(0.62)["wide"] == "removes"
    assert shadows(0.7, sarcasm=0.9) == {
        "wide": "same",
        "lower": "same",
        "higher": "removes",
        "never": "removes",
        "outranked": "same",
        "alone": "adds",
    }
    assert shadows(0.9) == {
        "wide": "same",
        "lower": "same",
        "higher": "same",
        "never": "removes",
        "outranked": "same",
    }


@given(rules(), COMMUNITIES, SHARES, SHARES, st.randoms())
def test_the_order_of_rules_means_nothing(
    some: list[Rule], community: str | None, offensive: float, sarcastic: float, random: object
) -> None:
    """Nor does how they came: by hand, or from the control topic."""
    of = labels(offensiveness=offensive, sarcasm=sarcastic).tasks
    shuffled = list(some)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other, published = Policies(some), Policies(shuffled), Policies(loads(dumps(shuffled)))
    assert one.version == other.version == published.version
    assert one.decide(community, of) == other.decide(community, of) == published.decide(community, of)


@given(rules(), st.lists(st.tuples(COMMUNITIES, SHARES), min_size=1, max_size=6))
def test_a_decision_is_a_pure_function(some: list[Rule], posts: list[tuple[str | None, float]]) -> None:
    """Of community, labels and rules: whatever was decided before, and without a change to what it is given."""
    used = Policies(some)
    for community, share in posts:
        of = labels(offensiveness=share).tasks
        before = copy.deepcopy(dict(of))
        assert used.decide(community, of) == Policies(some).decide(community, of)
        assert of == before


@given(rules(), COMMUNITIES, SHARES)
def test_shadow_rules_change_no_decision(some: list[Rule], community: str | None, share: float) -> None:
    """A policy without them decides the same; and each change is what making the rule active would change."""
    of = labels(offensiveness=share, sarcasm=share).tasks
    found = Policies(some).decide(community, of)
    active = [one for one in some if not one.shadow]
    assert found.decisions == Policies(active).decide(community, of).decisions

    def groups(policy: list[Rule]) -> set[tuple[str, str, str]]:
        return {one.rule.group for one in Policies(policy).decide(community, of).decisions}

    changes = {one.rule.name: one.change for one in found.shadows}
    for shadow in (one for one in some if one.shadow):
        # Of equal rules the one whose name comes first is in force: the shadow rule is tried in that place.
        tried = shadow.model_copy(update={"shadow": False, "name": f"0-{shadow.name}"})
        others = [
            one
            for one in active
            if (one.group, one.community, one.width) != (tried.group, tried.community, tried.width)
        ]
        without, with_it = groups(active), groups([*others, tried])
        expected = "adds" if with_it > without else "removes" if with_it < without else None
        if expected is not None or shadow.name in changes:
            assert changes[shadow.name] == (expected or "same")


def test_the_version_covers_every_field() -> None:
    """A change of any of them is another version."""
    changed = [
        rule(name="other"),
        rule(community="games"),
        rule(task="sarcasm", label="sarcastic"),
        rule(label="not_offensive"),
        rule(threshold=0.8),
        rule(threshold="never"),
        rule(decision="remove"),
        rule(priority=1),
        rule(shadow=True),
    ]
    versions = [Policies([one]).version for one in (rule(), *changed)]
    assert len(set(versions)) == len(versions)
    assert Policies([rule(threshold=1)]).version == Policies([rule(threshold=1.0)]).version
    assert all(version.startswith("sha256:") and len(version) == 71 for version in versions)


def test_equal_names_and_too_many_rules_are_refused() -> None:
    """Names are labels of metrics, so that their number is bounded."""
    with pytest.raises(SettingsError, match="two rules are called 'review'"):
        Policies([rule(), rule(threshold=0.2)])
    with pytest.raises(SettingsError, match="201 rules, where 200 are the most"):
        Policies(rule(f"r{number}") for number in range(MOST_RULES + 1))


def test_a_rule_that_is_never_in_force_is_refused() -> None:
    """Its number would look as if it meant something. A shadow rule beside an active one does mean something."""
    with pytest.raises(SettingsError, match="rule 'b' is never in force: 'a' has the same task, label, decision"):
        Policies([rule("b", threshold=0.9), rule("a")])
    Policies([rule("b", threshold=0.9, shadow=True), rule("c", shadow=True), rule("a"), rule("d", priority=1)])


def test_rules_on_tasks_that_are_not_published_are_refused() -> None:
    """Nobody could check what follows from a label that nobody sees."""
    policies = Policies([rule()])
    policies.refuse_unpublished(["sentiment", "offensiveness"])
    with pytest.raises(SettingsError, match=r"rule 'review': offensiveness is not published; .*ROUTES has sentiment"):
        policies.refuse_unpublished(["sentiment"])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"{", "what is published is not JSON"),
        (b"[]", "the form None, this release reads 'policies/1'"),
        (b'{"schema":"policies/2","rules":[]}', "the form 'policies/2'"),
        (b'{"schema":"policies/1","rules":[],"version":"sha256:0"}', "is not that of the rules"),
        (b'{"schema":"policies/1","rules":[{"name":"x","until":3}]}', "rule 'x': field 'until' is unknown"),
        (dumps([rule()]).replace(b"0.7", b"0.6"), "is not that of the rules"),
    ],
)
def test_what_is_published_is_held_against_its_version(value: bytes, said: str) -> None:
    """What a later release writes, or somebody by hand, is refused whole."""
    with pytest.raises(SettingsError, match=said):
        loads(value)


def test_many_communities_cost_no_memory() -> None:
    """What is kept of communities is bounded, and forgotten without a change to what is decided."""
    policies, of = Policies([rule(community="c1*")]), labels(offensiveness=0.9)
    for number in itertools.chain(range(10_000), range(3)):
        assert bool(decided(policies, f"c{number}", of)) == str(number).startswith("1")
    assert len(policies._kept) <= 4096
