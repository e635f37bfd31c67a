"""What is audited, and the words in which it is said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from mmorient import PostReader
from worker.broker.positions import Position
from worker.broker.topics import output_topics
from worker.policies.policies import Policies
from worker.settings import KafkaSettings

# What may become of an offset, in the order in which it is shown.
OUTCOMES: Mapping[str, str] = {
    "labelled": "exactly one label a task",
    "dead_lettered": "exactly one dead letter",
    "deletion": "passed over: a record without a value, or a deletion in an envelope",
    "no_post": "passed over: an event that is not a post, in an envelope",
    "schema": "passed over: its schema is in a registry, which alone can say whether it is a deletion",
    "no_record": "passed over: no record stands there (transaction markers, aborted transactions, compaction)",
    "expired": "retention has taken away what may have been its labels or its dead letter",
    "compacted": "its topic is compacted, which may have taken away its label",
    "gone": "retention took the post away before it was looked at",
    "faulty": "one of the faults below",
}
PASSED_OVER = ("deletion", "no_post", "schema", "no_record")
FAULTS: Mapping[str, str] = {
    "missing": "a post without a label of a task, and without a dead letter",
    "doubled": "more than one label of a task, or more than one dead letter",
    "both": "labels and a dead letter",
    "wrong_partition": "an output in another partition number than its post's",
    "wrong_checkpoint": "a label of a checkpoint that is not expected",
    "wrong_task": "a label that has not the tasks of its topic, each once",
    "wrong_key": "an output under another key than its post's",
    "changed": "a dead letter whose bytes are not its post's",
    "unexpected": "an output of a record without a value, or a decision without labels",
    "no_such_post": "an output of an offset at which no post stands",
    "late": "a label that came behind those of later posts, and was missing until then",
    "wrong_policy": "a decision of a policy that is not expected",
    "wrong_decision": "a decision that does not follow from the labels under the policy that it names",
    "undecided": "a labelled post without the decision that follows from its labels under the expected policy",
    "unreadable": "a record on an output topic that is neither label nor decision nor dead letter, or lacks parts",
}


@dataclass(frozen=True)
class PolicyTerms:
    """What is expected of decisions.

    Args:
        known: decisions that name one of these are worked out again, as are those of published policies.
        expected: the one that all decisions follow from; None for any.
    """

    known: Sequence[Policies] = ()
    expected: Policies | None = None


@dataclass(frozen=True)
class Terms:
    """What is expected.

    Args:
        kafka: names of the topics and the group.
        checkpoints: digests of which a label may be; None for any.
        reader: of posts, as the worker reads them.
        policies: what is expected of decisions, where these are on.
    """

    kafka: KafkaSettings
    checkpoints: frozenset[str] | None
    reader: PostReader
    policies: PolicyTerms = PolicyTerms()

    @property
    def tasks(self) -> dict[str, frozenset[str]]:
        """The tasks of each label topic."""
        routes = self.kafka.routes
        return {
            topic: frozenset(task for task in routes if routes[task] == topic)
            for topic in dict.fromkeys(routes.values())
        }

    @property
    def outputs(self) -> list[str]:
        """The topics that are audited: labels, decisions where they are on, and dead letters last."""
        return output_topics(self.kafka)

    @property
    def asked(self) -> str:
        """Digest of what is audited: an audit that is gone on with must be of the same."""
        kafka = self.kafka
        said = repr((kafka.posts_topic, sorted(kafka.routes.items()), kafka.dead_letter_topic, kafka.group_id))
        # Only where they are on: an audit that was begun before they existed goes on.
        if kafka.decisions_topic is not None:
            said += kafka.decisions_topic
        return blake2b(said.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Fault:
    """One fault.

    Args:
        kind: one of `FAULTS`.
        post: where the post stands; None where an output does not say.
        says: what is wrong, in a few words.
        records: where the outputs stand that show it.
    """

    kind: str
    post: Position | None
    says: str
    records: Sequence[Position] = ()

    def __str__(self) -> str:
        shown = f" ({', '.join(map(str, self.records))})" if self.records else ""
        return f"{self.kind:<17}{self.post or ''}{': ' if self.post else ''}{self.says}{shown}"

    def as_json(self) -> dict[str, object]:
        """Return it for a program."""
        return {
            "fault": self.kind,
            "post": None if self.post is None else str(self.post),
            "says": self.says,
            "records": [str(record) for record in self.records],
        }
