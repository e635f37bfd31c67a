"""What the worker says of the model's labels."""

import math
import random
from collections.abc import Iterator

import pytest

from mmorient import PostLabels, TaskLabel, stability_index
from mmorient.reference import Reference, count_labels
from worker.telemetry.drift import Drift


def said(sarcastic: float) -> PostLabels:
    """What the model says of one post."""
    shares = {"not_sarcastic": round(1 - sarcastic, 4), "sarcastic": round(sarcastic, 4)}
    return PostLabels({"sarcasm": TaskLabel("sarcastic" if sarcastic > 0.5 else "not_sarcastic", shares)}, ("text",))


def many(count: int, mean: float, seed: int = 1) -> Iterator[PostLabels]:
    """Answers around a mean."""
    rng = random.Random(seed)
    for _ in range(count):
        yield said(min(1.0, max(0.0, rng.gauss(mean, 0.15))))


def reference(answers: Iterator[PostLabels]) -> Reference:
    """Count what was said."""
    return count_labels(
        ({task: (one.label, one.probabilities) for task, one in answer.tasks.items()} for answer in answers), "sha256:x"
    )


def drift(known: Reference | None, *answers: Iterator[PostLabels], window_posts: int = 1000) -> Drift:
    """A drift that has seen these answers."""
    watched = Drift(["sarcasm"], known, window_posts=window_posts)
    for part in answers:
        for answer in part:
            watched.observe([answer])
    return watched


def test_the_index_is_that_of_the_formula() -> None:
    """PSI is the sum of (a - b) ln(a / b) over the bins' shares, half a post added to each."""
    now, known = [30, 70], [55, 45]
    a, b = [30.5 / 101, 70.5 / 101], [55.5 / 101, 45.5 / 101]
    expected = sum((x - y) * math.log(x / y) for x, y in zip(a, b, strict=True))
    assert stability_index(now, known) == pytest.approx(expected)
    assert stability_index([10, 20, 30], [100, 200, 300]) < 0.01
    assert 0 < stability_index([0, 100], [100, 0]) < math.inf


def test_the_same_posts_do_not_drift_and_others_do() -> None:
    """Posts like those of the reference stay below 0.1; posts of another kind pass 0.25, in labels and in scores."""
    known = reference(many(5000, 0.4))
    quiet = drift(known, many(1000, 0.4, seed=2)).psi()
    assert quiet.keys() == {("sarcasm", "labels"), ("sarcasm", "scores")}
    assert all(0 <= index < 0.1 for index in quiet.values())
    assert all(index > 0.25 for index in drift(known, many(1000, 0.7, seed=2)).psi().values())


def test_scores_move_before_labels_do() -> None:
    """Scores that lean over without crossing the threshold show in the scores alone."""
    known = reference(many(5000, 0.05))
    index = drift(known, many(1000, 0.2, seed=3)).psi()
    assert index["sarcasm", "scores"] > 0.25 > index["sarcasm", "labels"]


def test_labels_that_a_threshold_decides_are_not_held_against_labels_without_it() -> None:
    """Scores are all the same: a threshold moves no probability."""
    watched = Drift(["sarcasm"], reference(many(5000, 0.4)), window_posts=1000, scores_alone={"sarcasm": 0.7})
    for answer in many(1000, 0.4, seed=2):
        watched.observe([answer])
    assert watched.psi().keys() == {("sarcasm", "scores")}
    assert not [family for family in watched.collect() if family.name == "moderate_reference_share" and family.samples]


def test_only_the_last_posts_count() -> None:
    """What was said before the window is forgotten: drift ends when the posts are as they were."""
    known = reference(many(5000, 0.4))
    assert max(drift(known, many(2000, 0.7), many(900, 0.4, seed=2)).psi().values()) < 0.15
    assert max(drift(known, many(2000, 0.4), many(900, 0.7, seed=2)).psi().values()) > 0.25


def test_few_posts_tell_nothing() -> None:
    """Below 500 posts, or without a reference, there is no index; scores are exported all the same."""
    assert drift(reference(many(5000, 0.4)), many(499, 0.9)).psi() == {}
    alone = drift(None, many(600, 0.9))
    assert alone.psi() == {}
    scores = {
        (sample.labels["label"], sample.labels.get("le")): sample.value
        for family in alone.collect()
        for sample in family.samples
        if sample.name == "moderate_scores_bucket"
    }
    assert scores["sarcastic", "+Inf"] == scores["sarcastic", "1.0"] == 600
    assert scores["sarcastic", "0.5"] + scores["not_sarcastic", "0.5"] == 600


@pytest.mark.parametrize(
    ("probability", "bucket"), [(0.0, "0.1"), (0.1, "0.1"), (0.1001, "0.2"), (0.3, "0.3"), (0.7, "0.7"), (1.0, "1.0")]
)
def test_an_edge_belongs_to_the_bin_below(probability: float, bucket: str) -> None:
    """A score on an edge is counted as Prometheus counts: less or equal."""
    watched = drift(None, iter([said(probability)]))
    counts = {
        sample.labels["le"]: sample.value
        for family in watched.collect()
        for sample in family.samples
        if sample.name == "moderate_scores_bucket" and sample.labels["label"] == "sarcastic"
    }
    assert next(edge for edge, count in counts.items() if count) == bucket
