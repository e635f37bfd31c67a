"""A call's answers at once are those of each post alone, to the last digit."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mmorient.arithmetic.answers import answers
from mmorient.config import Calibration, HeadCalibration
from mmorient.labels import DEGREES, TASKS, PostLabels, task_label
from tests.tiers import some_slow

HEADS = {
    **{name: len(task.classes) for name, task in TASKS.items()},
    **{name + DEGREES: len(task.degrees) - 1 for name, task in TASKS.items() if task.degrees},
}
CALIBRATION = Calibration(
    heads={
        "text": {
            "sarcasm": HeadCalibration(temperature=1.7, bias=(0.1, -0.1)),
            "humour": HeadCalibration(temperature=0.6),
        },
        "text+image": {"sentiment": HeadCalibration(temperature=2.3, bias=(0.01, -0.02, 0.01))},
    }
)
KINDS = [("text",), ("image",), ("text", "image")]


def one_by_one(
    logits: dict[str, np.ndarray], kinds: list[tuple[str, ...]], thresholds: dict[str, float]
) -> list[PostLabels]:
    """Answer each post by itself, as `task_label` does."""
    found = []
    for row, kind in enumerate(kinds):
        scaled = {head: CALIBRATION.apply(kind, head, values[row].tolist()) for head, values in logits.items()}
        labels = {
            name: task_label(task, scaled[name], scaled.get(name + DEGREES), thresholds.get(name))
            for name, task in TASKS.items()
        }
        found.append(PostLabels(labels, kind))
    return found


@pytest.mark.parametrize("spread", [0.001, 1.0, 8.0, 60.0])
# Tasks without a threshold are among the others, too.
@pytest.mark.parametrize("thresholds", some_slow([{"sarcasm": 0.3, "humour": 0.9999, "motivation": 0.5}, {}], {"{}"}))
def test_many_posts_are_answered_as_each_is_alone(spread: float, thresholds: dict[str, float]) -> None:
    """Near ties and near certainty, in fp32 as the heads give them, with and without thresholds."""
    draw = np.random.default_rng(round(spread * 1000))
    logits = {
        head: draw.normal(scale=spread, size=(3000, width)).astype(np.float32).astype(np.float64)
        for head, width in HEADS.items()
    }
    kinds = [KINDS[row % 3] for row in range(3000)]
    assert answers(logits, kinds, CALIBRATION, thresholds) == one_by_one(logits, kinds, thresholds)


@settings(max_examples=200)
@given(st.lists(st.floats(-40, 40, width=32), min_size=4, max_size=4), st.sampled_from([0.3, 0.5, 0.7, None]))
@example([0.0, 0.0, 0.0, 0.0], 0.5)
@example([0.0, 0.0, 0.0, 0.0], None)
@example([40.0, -40.0, 0.0, 0.0], 0.7)
def test_where_rounding_turns_the_digits_are_the_same(values: list[float], threshold: float | None) -> None:
    """Ties, and shares that are a whole number of units."""
    logits = {head: np.array([values[:width]], dtype=np.float64) for head, width in HEADS.items()}
    thresholds = {} if threshold is None else {"sarcasm": threshold, "humour": threshold}
    assert answers(logits, [("text",)], CALIBRATION, thresholds) == one_by_one(logits, [("text",)], thresholds)


def test_no_posts_have_no_answers() -> None:
    """An empty call."""
    logits = {head: np.zeros((0, width)) for head, width in HEADS.items()}
    assert answers(logits, [], CALIBRATION, {}) == []
