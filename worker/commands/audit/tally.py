"""The count of an audit, and what is said of each fault."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from worker.commands.audit.terms import FAULTS, OUTCOMES, PASSED_OVER, Fault
from worker.telemetry.audit_metrics import AUDIT_FAULTS, AUDIT_OFFSETS


@dataclass
class Tally:
    """What was found so far.

    Args:
        say: told of each fault.
        outcomes: offsets by outcome.
        faults: faults by kind.
        pending: offsets that the group has not committed yet.
        decisions: posts whose decisions were worked out again.
    """

    say: Callable[[Fault], None]
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    pending: int = 0
    decisions: int = 0

    def add(self, outcome: str, offsets: int = 1) -> None:
        """Count what became of offsets."""
        if offsets > 0:
            self.outcomes[outcome] += offsets
            AUDIT_OFFSETS.labels(outcome).inc(offsets)

    def fault(self, fault: Fault) -> None:
        """Count a fault, and say it."""
        self.faults[fault.kind] += 1
        AUDIT_FAULTS.labels(fault.kind).inc()
        self.say(fault)

    def decided(self) -> None:
        """Count a post whose decisions were worked out again."""
        self.decisions += 1

    def dumps(self) -> str:
        """Return it as it is kept."""
        decided = {"decisions": self.decisions} if self.decisions else {}
        return json.dumps({"outcomes": self.outcomes, "faults": self.faults} | decided, separators=(",", ":"))

    def loads(self, text: str) -> None:
        """Go on from what was kept."""
        kept = json.loads(text)
        self.outcomes = Counter(kept["outcomes"])
        self.faults = Counter(kept["faults"])
        self.decisions = kept.get("decisions", 0)

    @property
    def offsets(self) -> int:
        """How many offsets were looked at."""
        return sum(self.outcomes.values())

    def as_json(self) -> dict[str, object]:
        """Return it for a program."""
        return {
            "offsets": self.offsets,
            "outcomes": {name: self.outcomes[name] for name in OUTCOMES},
            "pending": self.pending,
            "decisions": self.decisions,
            "faults": {kind: self.faults[kind] for kind in FAULTS},
            "clean": not self.faults.total(),
        }

    def lines(self) -> Iterator[str]:
        """Yield the lines for a terminal."""
        yield f"offsets looked at  {self.offsets:,}"
        for name in ("labelled", "dead_lettered"):
            yield f"{name.replace('_', '-'):<19}{self.outcomes[name]:,}"
        passed = {name: self.outcomes[name] for name in PASSED_OVER}
        yield f"{'passed over':<19}{_listed(passed)}"
        for name in ("expired", "compacted", "gone", "faulty"):
            if self.outcomes[name]:
                yield f"{name:<19}{self.outcomes[name]:,} ({OUTCOMES[name]})"
        if self.decisions:
            yield f"{'decisions':<19}{self.decisions:,} posts whose decisions were worked out again"
        yield f"{'not committed yet':<19}{self.pending:,}"
        yield f"{'faults':<19}{_listed(self.faults)}"


def _listed(counts: dict[str, int] | Counter[str]) -> str:
    there = {name: number for name, number in counts.items() if number}
    if not there:
        return "0"
    return f"{sum(there.values()):,}: {', '.join(f'{name} {number:,}' for name, number in sorted(there.items()))}"
