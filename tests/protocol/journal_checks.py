"""The journal as it is, its known limits, and the rules that are known to be wrong."""

from dataclasses import dataclass, replace
from functools import partial
from unittest.mock import patch

from tests.protocol.journal_model import RECORDS, STEP, UNCOUNTED, Rules, State, broken, done, moves
from tests.protocol.search import Report, explore
from worker.intake import journal
from worker.intake.journal import Journal

ANYWHERE = tuple(range(RECORDS))


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
    rules: Rules
    killers: tuple[int | None, ...] = (None, *ANYWHERE)
    length: int = 0

    def steps(self, report: Report) -> list[str]:
        """Return the counterexample of a report as numbered lines."""
        return [f"{number:2}. {said[0]}" for number, said in enumerate(report.trace, start=1)]

    def check(self) -> Report:
        """Visit every state from every place of the killing record, with the worker's journal in small steps."""
        with patch.multiple(journal, STEP_RECORDS=STEP, _DEATHS_ALONE=self.rules.deaths_alone):
            return explore(
                [State(killer, self.rules.kills) for killer in self.killers],
                partial(moves, self.rules),
                broken=partial(broken, self.rules),
                done=done,
            )


def _left_named(standing: Journal, note: Journal) -> Journal:
    return standing if standing.state == "named" else note


def _forgotten(standing: Journal, note: Journal) -> Journal:
    return Journal("closed", note.worker) if standing.state == "closed" else note


def _still_closed(standing: Journal, note: Journal) -> Journal:
    return replace(note, state="closed") if standing.state == "named" else note


CALM = Rules(kills=0)
CHECKS = (
    JournalCheck("the journal without its count of deaths, any chance kills and stops", "holds", Rules(UNCOUNTED)),
    JournalCheck(
        "the journal, any chance kills and stops, no 3 in a row over one record alone", "holds", Rules(in_row=2)
    ),
    JournalCheck("the journal, no chance kills, any stops: 3 deaths find the killer", "holds", CALM),
    JournalCheck("the journal, 4 chance kills, no stops, no killer", "holds", Rules(kills=4, stops=False), (None,)),
    JournalCheck("the journal, 3 chance kills, any stops, no killer", "holds", Rules(kills=3), (None,)),
    JournalCheck("the journal, 2 chance kills, any stops, beside a killer", "holds", Rules(kills=2), ANYWHERE),
    JournalCheck(
        "known limit: a killer that spares every child costs 5 deaths",
        "holds",
        CALM._replace(spares_child=True, max_deaths=5),
        ANYWHERE,
    ),
)
LIMITS = (
    JournalCheck(
        "known limit: 5 chance kills in a row condemn a harmless record",
        "condemned",
        Rules(kills=5, stops=False),
        (None,),
        length=17,
    ),
    JournalCheck(
        "known limit: 4 do, after a drain that was cut short",
        "condemned",
        Rules(kills=4),
        (None,),
        length=18,
    ),
    JournalCheck(
        "known limit: 3 do, to a neighbour of a killer",
        "condemned",
        Rules(kills=3, stops=False),
        ANYWHERE,
        length=18,
    ),
    JournalCheck(
        "known limit: chance may kill the child alone", "condemned", Rules(UNCOUNTED, child_alone=True), length=12
    ),
)
BAD = (
    JournalCheck(
        "the first death over a record named alone condemns, no trial", "condemned", Rules(1, kills=1), length=12
    ),
    JournalCheck(
        "an orderly stop leaves its step in the journal", "alone", CALM._replace(at_stop=_left_named), (None,), 7
    ),
    JournalCheck("an orderly stop between steps notes `closed`", "late", CALM._replace(at_stop=_forgotten), length=14),
    JournalCheck(
        "the commit of the last step notes `closed`", "hidden", CALM._replace(at_commit=_still_closed), length=8
    ),
    JournalCheck(
        "records are accepted beyond the credit of the standing note",
        "hidden",
        CALM._replace(ignores_credit=True),
        (None,),
        3,
    ),
    JournalCheck("a process takes its broken lane for a death", "alone", CALM._replace(knows_itself=False), (None,), 6),
)
