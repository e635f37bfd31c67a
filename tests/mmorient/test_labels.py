"""Rounding, and tasks that agree with their intensities."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmorient import TASKS
from mmorient.labels import rounded, softmax, task_label

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


def test_a_label_is_held_against_its_threshold() -> None:
    """From its threshold on a class is said, with a degree of it; probabilities do not move."""
    sarcasm = TASKS["sarcasm"]
    logits, degrees = (0.0, -0.5), (0.2, 0.0, 0.0)
    cautious, eager = (task_label(sarcasm, logits, degrees, (1 - bar, bar)) for bar in (0.38, 0.37))
    assert (cautious.label, eager.label) == ("not_sarcastic", "sarcastic")
    assert cautious.intensity is not None
    assert eager.intensity is not None
    assert (cautious.intensity.label, eager.intensity.label) == ("not_sarcastic", "general")
    assert cautious.probabilities == eager.probabilities
    assert eager.probabilities["sarcastic"] == pytest.approx(0.3775, abs=1e-4)
