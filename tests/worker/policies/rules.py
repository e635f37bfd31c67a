"""Rules and labels for tests of policies."""

import math
from typing import Any

from hypothesis import strategies as st

from mmorient.labels import TASKS, PostLabels, Task, task_label
from worker.policies.rule import Rule, labels_of

COMMUNITIES = st.none() | st.sampled_from(["gardening", "gardening.tools", "games", "Games", "*", ""])
_PATTERNS = st.sampled_from(["*", "gardening", "gardening*", "g*", "?ames", "[gG]ames", "games"])


def rule(name: str = "review", **fields: Any) -> Rule:
    """Return a rule; offensive from 0.7 on is reviewed, unless fields say otherwise."""
    return Rule.model_validate(
        {"name": name, "task": "offensiveness", "label": "offensive", "threshold": 0.7, "decision": "review"} | fields
    )


def labels(**shares: float) -> PostLabels:
    """Return a post's labels.

    Args:
        shares: of a binary task, the probability of its positive class.
    """
    return PostLabels({name: _answer(task, shares.get(name, 0.1)) for name, task in TASKS.items()}, ("text",))


def _answer(task: Task, share: float) -> Any:
    logits = [0.0] * len(task.classes)
    logits[1] = _logit(share)
    return task_label(task, logits, [0.3, 0.2, 0.1] if task.degrees else None)


def _logit(share: float) -> float:
    return math.log(share / (1 - share))


@st.composite
def rules(draw: st.DrawFn) -> list[Rule]:
    """Draw rules with names of their own."""
    found = []
    for number in range(draw(st.integers(0, 8))):
        task = draw(st.sampled_from(["offensiveness", "sarcasm"]))
        found.append(
            rule(
                f"rule-{number}",
                community=draw(_PATTERNS),
                task=task,
                label=draw(st.sampled_from(labels_of(task))),
                threshold=draw(st.sampled_from([0.1, 0.3, 0.5, 0.7, 1, "never"])),
                decision=draw(st.sampled_from(["review", "remove"])),
                priority=draw(st.integers(-1, 1)),
                shadow=draw(st.booleans()),
            )
        )
    # Of active rules that differ in nothing but name and threshold the second is refused.
    return list({(one.group, one.community, one.priority, one.shadow and one.name): one for one in found}.values())
