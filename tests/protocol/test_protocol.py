"""The protocol and the journal keep their rules in every reachable state; the known-bad variants do not."""

from collections.abc import Iterator

import pytest

from tests.protocol import bytes_checks, journal_checks, queue_checks, variants, window_checks
from tests.protocol.journal_model import Rules
from tests.protocol.model import Protocol
from tests.protocol.search import Move, explore, within
from tests.protocol.state import Design, broken, done, start
from tests.tiers import some_soak

# Smaller ones show the same.
SLOW = {
    "the protocol, 3 records, 2 workers",
    "the protocol, 2 records, 2 workers, fetches that fail",
    "the journal without its count of deaths, any chance kills and stops",
    "the journal, 3 chance kills, any stops, no killer",
    "known limit: a killer that spares every child costs 5 deaths",
    "one transactional producer a worker",
    "journal noted outside a transaction",
    "release notes an offset taken before its turn",
    "the journal, any chance kills and stops, no 3 in a row over one record alone",
    "the journal, 2 chance kills, any stops, beside a killer",
    "the device queue, 3 posts in two lanes",
    "the device queue, a repost in another lane",
    "committed offset read before the fence",
    "a coordinator that loads is taken for no offset",
    "the first death over a record named alone condemns, no trial",
    "an orderly stop between steps notes `closed`",
    "known limit: 4 do, after a drain that was cut short",
    "known limit: chance may kill the child alone",
    "known limit: 3 do, to a neighbour of a killer",
}


Small = bytes_checks.BytesCheck | window_checks.WindowCheck


def named(check: variants.Variant | journal_checks.JournalCheck | queue_checks.QueueCheck | Small) -> str:
    return check.name


@pytest.mark.parametrize("variant", some_soak(variants.PROTOCOL, SLOW, named), ids=named)
def test_the_protocol_neither_loses_nor_doubles(variant: variants.Variant) -> None:
    """No state has a second label, an offset beyond an unlabelled record, or no way to label the rest."""
    report = variant.check()
    assert report.verdict == "holds", variant.steps(report)
    assert report.states > 10_000


@pytest.mark.parametrize("variant", some_soak(variants.BAD, SLOW, named), ids=named)
def test_known_bad_variants_are_found_out(variant: variants.Variant) -> None:
    """The search finds the harm that a known-bad variant does, and the shortest way to it."""
    report = variant.check()
    assert (report.verdict, len(report.trace)) == (variant.expected, variant.length), variant.steps(report)


@pytest.mark.soak
def test_the_counterexample_of_one_producer_a_worker_in_words() -> None:
    """A worker whose partition has moved commits after the new owner has read the committed offset."""
    worker_ids = variants.BAD[0]
    lines = worker_ids.steps(worker_ids.check())
    read = next(index for index, line in enumerate(lines) if "worker B: 3 reads the committed offset: 0" in line)
    assert "worker A: 12 commits the transaction of records 0" in "".join(lines[read:])
    assert lines[-1].endswith("worker B: 12 commits the transaction of records 0")


def test_a_claim_without_a_fence_gets_nowhere() -> None:
    """Where no lane ever holds the epoch nothing is harmed and nothing is labelled: the search calls it stuck."""
    design = Design(claim=("seek", "read", "note", "seek", "resume"))
    report = explore([start(design, records=1)], Protocol(design).moves, broken=broken, done=done)
    assert report.verdict == "stuck"


def test_a_claim_that_notes_nothing_breaks_the_journal() -> None:
    """Without step 4 the journal reads `closed` while records are in flight, and hides a death over them."""
    design = Design(claim=("fence", "read", "seek", "seek", "resume"))
    report = explore([start(design, records=1)], Protocol(design).moves, broken=broken, done=done)
    assert report.verdict == "journal"


@pytest.mark.parametrize("check", some_soak(journal_checks.CHECKS, SLOW, named), ids=named)
def test_the_journal_finds_the_killer_and_nothing_else(check: journal_checks.JournalCheck) -> None:
    """Only the killing record is condemned, everything else is labelled, and without chance it takes few deaths."""
    report = check.check()
    assert report.verdict == "holds", check.steps(report)
    assert report.states > 1_000


@pytest.mark.parametrize("check", some_soak([*journal_checks.LIMITS, *journal_checks.BAD], SLOW, named), ids=named)
def test_limits_and_known_bad_journals_are_found_out(check: journal_checks.JournalCheck) -> None:
    """The search finds the rule that breaks, the shortest way to it, and no fewer chance kills than it is given."""
    report = check.check()
    assert (report.verdict, len(report.trace)) == (check.expected, check.length), check.steps(report)
    if check.rules.kills is not None:
        assert report.trace.count(("chance kills the worker",)) == check.rules.kills


@pytest.mark.parametrize(
    ("deaths", "rules"),
    [
        (2, journal_checks.CALM),
        pytest.param(4, journal_checks.CALM._replace(spares_child=True), marks=pytest.mark.soak),
    ],
    ids=["children die", "children are spared"],
)
def test_the_killer_takes_no_fewer_deaths(deaths: int, rules: Rules) -> None:
    """The bounds on the deaths of the worker are reached: one death fewer is not enough."""
    check = journal_checks.JournalCheck("", "late", rules._replace(max_deaths=deaths), journal_checks.ANYWHERE)
    assert check.check().verdict == "late"


@pytest.mark.parametrize("check", some_soak(queue_checks.CHECKS, SLOW, named), ids=named)
def test_every_unit_ends_once_and_reaches_all_who_wait(check: queue_checks.QueueCheck) -> None:
    """Whatever lane is given up or dropped: what the other lane shares with it is computed, and every post ends."""
    report = check.check()
    assert report.verdict == "holds", check.steps(report)
    assert report.states > 50


@pytest.mark.parametrize("check", queue_checks.BAD, ids=named)
def test_known_bad_queues_are_found_out(check: queue_checks.QueueCheck) -> None:
    """The search finds the post that starves, the unit that ends twice or the call that is wrong."""
    report = check.check()
    assert (report.verdict, len(report.trace)) == (check.expected, check.length), check.steps(report)


@pytest.mark.parametrize("check", [*bytes_checks.CHECKS, *window_checks.CHECKS], ids=named)
def test_windows_commit_in_order_and_lanes_do_not_wait_for_each_others_bytes(check: Small) -> None:
    """Every post is committed, a range with holes ends, and no more is in flight than the standing note covers."""
    report = check.check()
    assert report.verdict == "holds", check.steps(report)
    assert report.states > 50


@pytest.mark.parametrize("check", [*bytes_checks.BAD, *window_checks.BAD], ids=named)
def test_known_bad_windows_and_pools_are_found_out(check: Small) -> None:
    """The search finds the harm, and the shortest way to it."""
    report = check.check()
    assert (report.verdict, len(report.trace)) == (check.expected, check.length), check.steps(report)


def counting(state: int) -> Iterator[Move]:
    """Yield steps of one and of three below ten; eleven and more are a mishap away."""
    if state < 10:
        yield Move(("one",), state + 1)
        yield Move(("three",), state + 3, mishap=state + 3 > 10)


def test_the_search_returns_a_shortest_way() -> None:
    """The first bad state that is found is one of the nearest."""
    report = explore([0], counting, broken=lambda state: "seven" if state == 7 else None)
    assert report.verdict == "seven"
    assert len(report.trace) == 3


def test_the_search_finds_where_there_is_no_way_to_the_end() -> None:
    """A state that cannot reach a good end is reported, with the way to it."""
    report = explore([0], counting, broken=lambda _: None, done=lambda state: state == 10)
    assert report.verdict == "stuck"
    assert sum({"one": 1, "three": 3}[said] for (said,) in report.trace) > 10


def test_mishaps_can_be_bounded() -> None:
    """With no mishap left the search visits only what work leads to."""
    report = explore([(0, 0)], within(counting), broken=lambda _: None, done=lambda state: state[1] == 10)
    assert (report.verdict, report.states) == ("holds", 11)
