"""Rounding, and tasks that agree with their intensities."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from mmorient import TASKS
from mmorient.config import Calibration, HeadCalibration
from mmorient.labels import BINARY_TASKS, Task, checked_thresholds, rounded, softmax, task_label

LOGITS = st.floats(-30, 30)
INTENSE = [task for task in TASKS.values() if task.degrees]


@given(st.lists(LOGITS, min_size=2, max_size=6))
def test_rounding_keeps_the_sum_and_the_order(logits: list[float]) -> None:
    """Published probabilities sum to 1, stay within a unit of the exact ones, and no order is reversed."""
    exact = softmax(logits)
    published = rounded(exact)
    assert sum(round(value * 10_000) for value in published) == 10_000
    assert all(abs(one - other) < 1.0001e-4 for one, other in zip(exact, published, strict=True))
    for i, one in enumerate(exact):
        for j, other in enumerate(exact):
            assert not (one > other and published[i] < published[j])


@given(st.sampled_from(INTENSE), st.tuples(LOGITS, LOGITS), st.tuples(LOGITS, LOGITS, LOGITS))
@example(INTENSE[0], (0.0, 0.0), (0.0, 0.0, 0.0))
@example(INTENSE[0], (0.0, 2.0), (0.0, 0.0, 1.8e-231))
@example(INTENSE[0], (0.0, 1e-6), (0.0, 0.0, 0.0))
@example(INTENSE[0], (1e-12, 1e-12), (0.0, 1.5, 1.5))
@example(INTENSE[1], (0.00001, 0.0), (3.0, 3.0, 3.0))
@example(INTENSE[1], (0.0, 0.00021), (1.0, 0.0, 2.0))
def test_a_task_agrees_with_its_intensity(task, logits, degrees) -> None:  # type: ignore[no-untyped-def]
    """What is not sarcastic has no sarcastic degree, what is has one; both labels are most probable as published."""
    answer = task_label(task, logits, degrees)
    assert answer.intensity is not None
    assert (answer.label == task.classes[0]) == (answer.intensity.label == task.degrees[0])
    assert answer.probabilities[answer.label] == max(answer.probabilities.values())
    assert answer.intensity.probabilities[answer.intensity.label] == max(answer.intensity.probabilities.values())


@pytest.mark.parametrize("name", ["sentiment", "motivation"])
def test_tasks_without_degrees_have_no_intensity(name: str) -> None:
    """Sentiment and motivation are classes alone."""
    task = TASKS[name]
    assert task_label(task, [0.0] * len(task.classes), None).intensity is None


# Not whatever a float can be: two logits that differ in their last bit alone may round to the same share.
PLAIN = st.integers(-300_000, 300_000).map(lambda value: value / 10_000)


@st.composite
def _answered(draw: st.DrawFn) -> tuple[Task, list[float], list[float] | None, float | None]:
    """A task, its calibrated logits, those of its degrees, and perhaps an operator's threshold."""
    task = draw(st.sampled_from(list(TASKS.values())))
    scaling = HeadCalibration(
        temperature=draw(st.integers(1, 100)) / 10, bias=tuple(draw(PLAIN) / 10 for _ in task.classes)
    )
    calibration = Calibration(heads={"text": {task.name: scaling}})
    logits = calibration.apply(("text",), task.name, [draw(PLAIN) for _ in task.classes])
    degrees = [draw(PLAIN) for _ in task.degrees[1:]] or None
    threshold = draw(st.none() | st.integers(1, 9_999).map(lambda value: value / 10_000))
    return task, logits, degrees, threshold if task.name in BINARY_TASKS else None


@given(_answered())
def test_a_label_is_the_most_probable_class_or_what_a_threshold_asks_for(
    case: tuple[Task, list[float], list[float] | None, float | None],
) -> None:
    """Of the published numbers, for any logits and calibration; numbers and degrees are the same either way."""
    task, logits, degrees, threshold = case
    answer, alone = task_label(task, logits, degrees, threshold), task_label(task, logits, degrees)
    shares = answer.probabilities
    if threshold is None:
        assert shares[answer.label] == max(shares.values())
    else:
        assert (answer.label == task.classes[1]) == (shares[task.classes[1]] >= threshold)
    assert answer.threshold == threshold
    assert shares == alone.probabilities
    if degrees is not None:
        assert answer.intensity is not None
        assert alone.intensity is not None
        assert (answer.label == task.classes[0]) == (answer.intensity.label == task.degrees[0])
        assert answer.intensity.probabilities == alone.intensity.probabilities
        said = [name for name in task.degrees[1:] if answer.label != task.classes[0]] or [task.degrees[0]]
        assert answer.intensity.probabilities[answer.intensity.label] == max(
            answer.intensity.probabilities[name] for name in said
        )


def test_a_tie_goes_to_the_unrounded_shares_and_then_to_the_lower_index() -> None:
    """And the label is among the largest of what is published."""
    motivation, sentiment = TASKS["motivation"], TASKS["sentiment"]
    assert task_label(motivation, [0.0, 1e-6], None).label == "motivational"
    assert task_label(motivation, [0.0, 0.0], None).label == "not_motivational"
    answer = task_label(sentiment, [0.0, 0.0, 0.0], None)
    assert (answer.label, answer.probabilities["negative"]) == ("negative", 0.3334)
    answer = task_label(sentiment, [0.0, 1e-6, 1e-6], None)
    assert answer.label == "neutral"
    assert answer.probabilities["neutral"] == max(answer.probabilities.values())


def test_a_threshold_decides_from_the_published_number_on() -> None:
    """It is on the label; no probability moves, and the degree follows the label."""
    sarcasm = TASKS["sarcasm"]
    logits, degrees = (0.0, -0.5), (0.2, 0.0, 0.0)
    plain, cautious, eager = (task_label(sarcasm, logits, degrees, bar) for bar in (None, 0.3776, 0.3775))
    assert [one.label for one in (plain, cautious, eager)] == ["not_sarcastic", "not_sarcastic", "sarcastic"]
    assert [one.threshold for one in (plain, cautious, eager)] == [None, 0.3776, 0.3775]
    assert [one.intensity and one.intensity.label for one in (cautious, eager)] == ["not_sarcastic", "general"]
    assert plain.probabilities == cautious.probabilities == eager.probabilities
    assert eager.probabilities["sarcastic"] == 0.3775


@pytest.mark.parametrize(
    ("thresholds", "said"),
    [
        ({"sentiment": 0.5}, "threshold of 'sentiment': tasks that can have one are humour, sarcasm"),
        ({"tone": 0.5}, "threshold of 'tone'"),
        ({"sarcasm": 0.0}, "threshold of sarcasm: 0 is not between 0 and 1"),
        ({"sarcasm": 1}, "1 is not between"),
        ({"sarcasm": float("nan")}, "nan is not between"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(thresholds: dict[str, float], said: str) -> None:
    """Three classes have no threshold, and one that nothing or everything reaches is a mistake."""
    with pytest.raises(ValueError, match=said):
        checked_thresholds(thresholds)
    assert checked_thresholds({"offensiveness": 0.7, "humour": 0.4}) == {"humour": 0.4, "offensiveness": 0.7}


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"sarcasm": [0.6, 0.5]}, "sum to 1.1"),
        ({"sarcasm": [1.0, 0.0]}, "less than 1"),
        ({"sentiment": [0.5, 0.5]}, "2, of 3 classes"),
        ({"tone": [0.5, 0.5]}, "which is no task"),
    ],
)
def test_reference_shares_are_shares(shares: dict[str, list[float]], said: str) -> None:
    """One for each class of a task, in sum 1; a checkpoint may leave them out."""
    with pytest.raises(ValidationError, match=said):
        Calibration.model_validate({"shares": shares})
    assert Calibration().shares == {}
    assert Calibration.model_validate({"shares": {"sarcasm": [0.6, 0.4]}}).shares == {"sarcasm": (0.6, 0.4)}
    with pytest.raises(ValidationError, match="thresholds"):
        Calibration.model_validate({"heads": {"text": {"sarcasm": {"thresholds": [0.5, 0.5]}}}})
