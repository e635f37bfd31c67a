"""What the journal says about records, and what a lane makes of it."""

import pytest

from worker.intake.journal import STEP_RECORDS, Caution, Journal


def claim(found: Journal | None, offset: int = 100, end: int = 1000) -> Caution:
    """Claim a partition as process `me`."""
    return Caution.at_claim(found, worker="me", offset=offset, end=end, in_flight=192)


@pytest.mark.parametrize(
    "metadata", [None, "", "something of another program", "{}", "[]", '{"state": "open"}', "[" * 4000]
)
def test_a_string_that_is_no_journal_is_none(metadata: str | None) -> None:
    """Whatever stood in the metadata before us is no suspicion."""
    assert Journal.loads(metadata) is None
    assert not claim(Journal.loads(metadata)).careful


def test_a_note_survives_its_string() -> None:
    """What was written is what is read, and short enough for a broker's default limit."""
    note = Journal("named", "a" * 16, suspects=2**31, single_until=2**62, named_until=2**62, deaths=3, alone=2**62)
    assert Journal.loads(note.dumps()) == note
    assert len(note.dumps()) < 4096


@pytest.mark.parametrize("note", [Journal("closed", "other"), Journal("open", "me", suspects=9)])
def test_an_orderly_end_and_a_broken_lane_are_no_death(note: Journal) -> None:
    """After `closed`, and after a lane of the same process, all goes on at full speed."""
    caution = claim(note)
    assert not caution.careful
    assert caution.at_rest(192) == Journal("open", "me", suspects=192)


def test_open_of_another_process_is_gone_through_in_steps() -> None:
    """Its suspects are stepped through without a trial, and then it is over."""
    caution = claim(Journal("open", "other", suspects=20))
    assert (caution.careful, caution.trial, caution.step) == (True, False, STEP_RECORDS)
    caution = caution.after(116, 16)
    assert caution.at_rest(192) == Journal("closed", "me", suspects=4)
    assert caution.after(132, 16).at_rest(192) == Journal("open", "me", suspects=192)


def test_nothing_behind_the_end_of_the_log_is_suspected() -> None:
    """What was written after the death was in nobody's flight."""
    caution = claim(Journal("open", "other", suspects=192), end=110)
    assert not caution.after(110, 10).careful
    assert not claim(Journal("open", "other", suspects=192), offset=1000).careful


def test_a_death_with_a_named_step_leads_to_single_records() -> None:
    """Each record of the step is named alone, without a trial; those behind them are stepped through."""
    caution = claim(Journal("named", "other", suspects=50, named_until=116))
    assert (caution.single, caution.step, caution.trial, caution.condemned) == (True, 1, False, False)
    for offset in range(101, 116):
        caution = caution.after(offset, 1)
        assert caution.at_rest(192).single_until == 116
        assert caution.single
    caution = caution.after(116, 1)
    assert (caution.single, caution.careful, caution.step) == (False, True, STEP_RECORDS)


def test_a_death_with_a_single_record_leads_to_its_trial() -> None:
    """The trial is of that record alone, and over when it is settled."""
    caution = claim(Journal("named", "other", suspects=50, named_until=101, single_until=116))
    assert (caution.single, caution.trial, caution.condemned) == (True, True, False)
    caution = caution.after(101, 1)
    assert (caution.single, caution.trial) == (True, False)


def test_only_deaths_alone_and_in_a_row_condemn() -> None:
    """Three deaths with one record named alone condemn it; one that is settled in between starts anew."""
    note = Journal("named", "a", suspects=50, named_until=101, single_until=116)
    for worker, condemned in (("b", False), ("c", False), ("d", True)):
        caution = Caution.at_claim(note, worker=worker, offset=100, end=1000, in_flight=192)
        assert caution.condemned is condemned
        note = caution.named(101)
    assert caution.after(101, 1).at_rest(192).deaths == 0
    assert not caution.after(101, 1).condemned


def test_being_given_up_in_the_middle_of_a_trial_is_no_death() -> None:
    """The next owner goes on with the trial, and nobody's death is counted."""
    caution = claim(Journal("named", "other", named_until=101, single_until=116))
    handed = caution.given_up(1)
    following = Caution.at_claim(handed, worker="next", offset=100, end=1000, in_flight=192)
    assert (following.trial, following.condemned, following.at_rest(192).deaths) == (True, False, 1)


def test_deaths_belong_to_their_record() -> None:
    """Where the record that they were counted for is gone from the topic, the next one is innocent."""
    note = Journal("named", "other", suspects=50, named_until=101, single_until=116, deaths=2, alone=100)
    caution = claim(note)
    assert caution.condemned
    assert not caution.at(103).trial
    assert caution.at(103).single
    assert not caution.at(120).single
    assert claim(Journal("named", "other", named_until=104, single_until=116, deaths=2, alone=100)).note.deaths == 1
