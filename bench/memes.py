"""How well memes are labelled: macro-F1 of each task, for the benches that read Memotion."""

from collections.abc import Sequence

import numpy as np

from mmorient import PostLabels
from mmorient.labels import TASKS
from mmorient.training.data.examples import Example
from mmorient.training.judging.metrics import macro_f1


def print_head(name: str, width: int) -> None:
    """Print the head of the table."""
    print(f"{name:{width}}" + "".join(f"{task:>15}" for task in TASKS))


def print_row(name: str, width: int, examples: Sequence[Example], labels: Sequence[PostLabels]) -> None:
    """Print macro-F1 of each task, in percent, of labels against what people said."""
    scores = []
    for task in TASKS.values():
        truth = np.array([one.targets[task.name] for one in examples])
        answer = np.array([task.classes.index(one.tasks[task.name].label) for one in labels])
        scores.append(100 * macro_f1(truth, answer, len(task.classes)))
    print(f"{name:{width}}" + "".join(f"{score:15.1f}" for score in scores), flush=True)
