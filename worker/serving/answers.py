"""What is said of a post: its labels as they stand on the topics, or why it has none."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from schemas import ModelStamp
from worker.errors import FatalError
from worker.items import Item
from worker.output.decision_records import DecisionCounts
from worker.output.label_bytes import LabelBytes, community_of
from worker.policies.policies import Decided, Policies

_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a post has no labels: what its dead letter would carry.

    Attributes:
        stage: Which stage refused it.
        reason: Code, as `moderate_dead_letters_total` counts it.
        message: In words; nothing that people wrote.
    """

    stage: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One post's answer: labels, or one of the last two.

    Attributes:
        post_id: The post's; None where it has none that can be read.
        labels: By task, the bytes of a label record without its `source`, which is a place in Kafka.
        decisions: What the policies make of them, as a record of decisions says it; None where there are no policies.
        policy: Version of the policies; None likewise.
        refusal: Why it has none.
        passed_over: Reason code where there is nothing to label: deletion, no_post.
    """

    post_id: str | None = None
    labels: dict[str, bytes] = field(default_factory=dict)
    decisions: tuple[Decided, ...] | None = None
    policy: str | None = None
    refusal: Refusal | None = None
    passed_over: str | None = None

    def as_json(self) -> bytes:
        """Return it as `POST /v1/label` has it."""
        said: dict[str, Any] = {"post_id": self.post_id}
        if self.refusal is not None:
            refusal = self.refusal
            said["error"] = {"stage": refusal.stage, "reason": refusal.reason, "message": refusal.message}
        elif self.passed_over is not None:
            said["passed_over"] = self.passed_over
        else:
            said["labels"] = {task: msgspec.Raw(value) for task, value in self.labels.items()}
        if self.decisions is not None:
            said["decisions"] = [one.fields() for one in self.decisions]
            said["policy"] = {"version": self.policy}
        return _ENCODER.encode(said)


class Answers:
    """Writes the answers of one model.

    Args:
        stamp: which model labels.
        tasks: that are answered.
        policies: make the labels into decisions; None for none.
    """

    def __init__(self, stamp: ModelStamp, tasks: Sequence[str], policies: Policies | None = None) -> None:
        self._bytes = LabelBytes(stamp)
        self._tasks = tuple(tasks)
        self._policies = policies
        self._counts = DecisionCounts()

    def answer(self, item: Item, *, decided: bool = True, counted: bool = True) -> Answer:
        """Return what became of an item.

        Args:
            item: whose labels are made, or never will be.
            decided: whether its labels are made into decisions.
            counted: whether these are counted.

        Raises:
            FatalError: nothing did: a fault in this program.
        """
        post_id = item.post.id if item.post is not None else None
        if (rejection := item.rejection) is not None:
            return Answer(post_id, refusal=Refusal(rejection.stage, rejection.reason, str(rejection)))
        if item.passed_over is not None:
            return Answer(post_id, passed_over=item.passed_over)
        if item.labels is None or item.post is None:
            raise FatalError(f"{item.position} came here neither labelled nor rejected")
        about = self._bytes.about(item, item.post, item.labels, placed=False)
        labels = item.labels.tasks
        written = {task: self._bytes.label(item.post.id, task, labels[task], about) for task in self._tasks}
        if self._policies is None or not decided:
            return Answer(post_id, written)
        outcome = self._policies.decide(community_of(item.post), labels)
        if counted:
            self._counts.add(outcome)
        return Answer(post_id, written, outcome.decisions, self._policies.version)
