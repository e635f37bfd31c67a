"""What became of one record, from all that stands in the output topics of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from aiokafka.structs import ConsumerRecord

from mmorient import PassedOver, PostError
from worker.broker.positions import Position
from worker.commands.audit.deciding import DecisionJudge
from worker.commands.audit.outcome import Outcome, outcome_of
from worker.commands.audit.outputs import Output
from worker.commands.audit.terms import Fault, Terms
from worker.items import DELETION

# Of one post on one topic: more are counted, and not kept.
_MOST_KEPT = 8
_FRAME = b"\x00"


@dataclass
class Found:
    """What stands in one topic of one record.

    Args:
        number: how many outputs.
        kept: the first of them.
        may_be_gone: why there may have been one that is no longer there (`expired`, `compacted`); None otherwise.
    """

    number: int = 0
    kept: list[Output] = field(default_factory=list)
    may_be_gone: str | None = None

    def add(self, output: Output) -> None:
        """Take in one more."""
        self.number += 1
        if self.number <= _MOST_KEPT:
            self.kept.append(output)

    @property
    def places(self) -> tuple[Position, ...]:
        """Where they stand."""
        return tuple(output.at for output in self.kept)


class Judge:
    """Says what became of a record.

    Args:
        terms: what is expected.
        decisions: judges what was decided.
        posts_compacted: whether compaction may have taken posts away that have labels.
    """

    def __init__(self, terms: Terms, decisions: DecisionJudge, *, posts_compacted: bool = False) -> None:
        self._terms = terms
        self._judge = decisions
        self._decisions = terms.kafka.decisions_topic
        self._tasks = terms.tasks
        self._dead = terms.kafka.dead_letter_topic
        self._posts_compacted = posts_compacted

    def of(self, record: ConsumerRecord, found: Mapping[str, Found]) -> tuple[str, list[Fault]]:
        """Return the outcome of a record, and its faults.

        Args:
            record: on the posts topic.
            found: by output topic; every one is named.
        """
        post = Position.of(record)
        counts = outcome_of({topic: found[topic].number for topic in self._tasks}, found[self._dead].number)
        faults = [*self._counted(post, counts, found), *self._looked_at(post, record, found)]
        if counts.state == "nothing":
            outcome = self._without_output(record, found)
            if outcome is None:
                faults.append(Fault("missing", post, "no label on any topic, and no dead letter"))
        elif counts.state == "partly":
            outcome = "labelled"
            for topic in counts.missing:
                if (gone := found[topic].may_be_gone) is not None:
                    outcome = gone
                else:
                    faults.append(Fault("missing", post, f"no label on {topic}[{post.partition}], and no dead letter"))
        else:
            outcome = "labelled" if counts.state == "labelled" else "dead_lettered"
            if record.value is None:
                faults.append(Fault("unexpected", post, "a record without a value has outputs", _places(found)))
        faults += self._decided(post, counts, found)
        return "faulty" if faults or outcome is None else outcome, faults

    def of_no_record(self, post: Position, topic: str, output: Output) -> Fault | None:
        """Return what is wrong with an output of an offset at which no record stands."""
        if self._posts_compacted:
            return None
        return Fault("no_such_post", post, f"no post stands there, and {topic} has an output of it", (output.at,))

    def _counted(self, post: Position, counts: Outcome, found: Mapping[str, Found]) -> Iterator[Fault]:
        if counts.both:
            yield Fault("both", post, "labels and a dead letter", _places(found))
        for topic, here in found.items():
            if here.number > 1:
                kind = f"{self._kind(topic)}s"
                yield Fault("doubled", post, f"{here.number} {kind} on {topic}", here.places)

    def _looked_at(self, post: Position, record: ConsumerRecord, found: Mapping[str, Found]) -> Iterator[Fault]:
        """Yield what is wrong with single outputs."""
        digest: bytes | None = None
        for topic, here in found.items():
            for output in here.kept:
                at = (output.at,)
                if topic == self._dead:
                    digest = digest or blake2b(record.value or b"").digest()
                    if output.digest != digest:
                        yield Fault("changed", post, "the bytes of its dead letter are not its own", at)
                    continue
                kind = self._kind(topic)
                if output.key != record.key:
                    yield Fault("wrong_key", post, f"a {kind} on {topic} is under another key", at)
                if topic != self._decisions and output.tasks != self._tasks[topic]:
                    yield Fault("wrong_task", post, f"a label on {topic} is not of {_names(self._tasks[topic])}", at)
                expected = self._terms.checkpoints
                if expected is not None and output.checkpoint not in expected:
                    yield Fault("wrong_checkpoint", post, f"a {kind} on {topic} is of {output.checkpoint}", at)

    def _decided(self, post: Position, counts: Outcome, found: Mapping[str, Found]) -> Iterator[Fault]:
        """Yield what is wrong with what was decided on a post, or was not."""
        if self._decisions is None:
            return
        here = found[self._decisions]
        if here.number and (counts.state in {"nothing", "dead-lettered"}):
            yield Fault("unexpected", post, "a decision without labels", here.places)
        whole = counts.state == "labelled" and not (counts.extra or counts.both)
        # Of several labels or decisions nobody knows which belong together; what may be gone cannot be missing.
        if not whole or here.number > 1 or (not here.number and here.may_be_gone is not None):
            return
        labels = [found[topic].kept[0].value or {} for topic in self._tasks]
        decision = next(((one.at, one.value or {}) for one in here.kept), None)
        yield from self._judge.faults(post, labels, decision)

    def _kind(self, topic: str) -> str:
        return {self._dead: "dead letter", self._decisions: "decision"}.get(topic, "label")

    def _without_output(self, record: ConsumerRecord, found: Mapping[str, Found]) -> str | None:
        """Return why a record rightly has no output, or why that cannot be known; None where it should have one."""
        reason = self._passed_over(record)
        if reason is not None:
            return reason
        letter = found[self._dead].may_be_gone
        gone = [found[topic].may_be_gone for topic in self._tasks]
        # All of its labels may be gone, or its dead letter.
        if letter is not None or all(gone):
            return "expired" if "expired" in {*gone, letter} else "compacted"
        return None

    def _passed_over(self, record: ConsumerRecord) -> str | None:
        if record.value is None:
            return "deletion"
        if self._terms.kafka.registry_url is not None and record.value.startswith(_FRAME):
            return "schema"
        try:
            read = self._terms.reader.read(record.value)
        except PostError:
            return None
        if isinstance(read, PassedOver):
            return "deletion" if read.reason == DELETION else "no_post"
        return None


def _places(found: Mapping[str, Found]) -> tuple[Position, ...]:
    return tuple(place for here in found.values() for place in here.places)


def _names(tasks: frozenset[str]) -> str:
    return " and ".join(sorted(tasks))
