"""What decisions cost a core: `python -m bench.decisions`.

The records of labelled posts without policies, and with them, by turns.
"""

import argparse
import time
from pathlib import Path
from statistics import median

from tests.worker.output.test_records import ROUTES, STAMP
from tests.worker.policies.rules import labels, rule
from tests.worker.records import item_of
from worker.items import Item
from worker.output.decision_records import DecisionRecords
from worker.output.records import RecordBuilder
from worker.policies.current import Current
from worker.policies.policies import Policies
from worker.policies.reading import read_policies

_POSTS, _COMMUNITIES, _TURNS = 1000, 50, 15
_SAMPLE = read_policies(Path(__file__).parent.parent / "samples" / "policies")
_MANY = Policies(rule(f"rule-{number}", decision=f"decision-{number}", threshold=0.99) for number in range(200))
# The policy, and how offensive every post is.
_CASES: dict[str, tuple[Policies | None, float]] = {
    "no policies": (None, 0.2),
    f"{len(_SAMPLE.rules)} rules, none is reached": (_SAMPLE, 0.2),
    f"{len(_SAMPLE.rules)} rules, a decision": (_SAMPLE, 0.6),
    f"{len(_MANY.rules)} rules, none is reached": (_MANY, 0.2),
}


def main() -> None:
    """Measure, and print a table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    made = {name: (_builder(policies), _items(share)) for name, (policies, share) in _CASES.items()}
    seconds: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(_TURNS):
        for name, ((builder, decisions), items) in made.items():
            began = time.process_time()
            builder.records(items)
            if decisions is not None:
                decisions.offer(items)
            seconds[name].append(time.process_time() - began)
    print("| records of a post with three topics | µs of a core |\n|---|---|")
    for name, taken in seconds.items():
        print(f"| {name} | {1e6 * median(taken) / _POSTS:.0f} |")


def _builder(policies: Policies | None) -> tuple[RecordBuilder, DecisionRecords | None]:
    decisions = None
    if policies is not None:
        decisions = DecisionRecords("decisions", Current(policies), checkpoint=STAMP.checkpoint)
    builder = RecordBuilder(
        routes=ROUTES, dead_letter_topic="dead", max_dead_letter_bytes=2000, stamp=STAMP, decisions=decisions
    )
    return builder, decisions


def _items(share: float) -> list[Item]:
    items = [item_of(number, text="x", community=f"c-{number % _COMMUNITIES}") for number in range(_POSTS)]
    for item in items:
        item.labels = labels(offensiveness=share)
    return items


if __name__ == "__main__":
    main()
