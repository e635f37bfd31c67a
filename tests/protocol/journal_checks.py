"""The journal as it is, and the rules that are known to be wrong."""

from dataclasses import dataclass
from functools import partial

from tests.protocol.journal_model import RECORDS, Rules, State, broken, done, moves
from tests.protocol.search import Report, explore

AS_IT_IS = Rules()


@dataclass(frozen=True)
class JournalCheck:
    """One set of rules, and what is expected of it.

    Args:
        name: what is done.
        expected: "holds", or the rule that must be found broken.
        rules: the rules.
        killers: where the killing record may be; None is no such record.
        length: of the shortest counterexample, in steps.
    """

    name: str
    expected: str
    rules: Rules = AS_IT_IS
    killers: tuple[int | None, ...] = (None, *range(RECORDS))
    length: int = 0

    def steps(self, report: Report) -> list[str]:
        """Return the counterexample of a report as numbered lines."""
        return [f"{number:2}. {said[0]}" for number, said in enumerate(report.trace, start=1)]

    def check(self) -> Report:
        """Visit every state from every place of the killing record."""
        return explore(
            [State(killer) for killer in self.killers],
            partial(moves, self.rules),
            broken=partial(broken, self.rules),
            done=done,
        )


CALM = AS_IT_IS._replace(chance=False)
CHECKS = (
    JournalCheck("the journal, any chance kills and stops", "holds"),
    JournalCheck("the journal, no chance kills, any stops: 2 deaths find the killer", "holds", CALM),
)
BAD = (
    JournalCheck("the second death condemns, no trial", "condemned", Rules(trials=False, condemns_at=2), length=9),
    JournalCheck("the third death over a record named alone condemns", "condemned", Rules(condemns_at=4), length=15),
    JournalCheck("chance may kill the child alone", "condemned", Rules(child_alone=True), length=9),
    JournalCheck(
        "an orderly stop leaves its step in the journal",
        "trial",
        CALM._replace(stop_leaves_step=True),
        (None,),
        length=7,
    ),
    JournalCheck("an orderly stop between steps notes `closed`", "late", CALM._replace(stop_forgets=True), length=11),
)
