"""The journal: what a lane may have in flight, kept in the metadata string beside the partition's committed offset.

It needs no store of its own, and moves with the offset in one transaction. After an unclean death the next owner
reads in it which records could have been the cause:

    closed   nothing is in flight
    open     some of the next `suspects` records may be in flight
    named    the records up to `named_until`, and no others of the partition, are in flight
    unknown  a later version wrote it, and this one cannot read it: taken for `open`; never written

A worker that finds `open` goes through those suspects in small steps and names each step before touching it.
One that finds a step `named` names its records one by one. One that finds a single record `named` tries it in
a child process first (`worker/isolation/trial.py`): only a record that kills the child is condemned, or one that
three workers died of while it was named alone.

Workers of two versions share a group while one replaces the other, so a note says its version. A field that an older
worker may drop without harm is added as it is; anything else, and any change of a plan, raises the version.
"""

import json
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

from pydantic import TypeAdapter, ValidationError

# Raised where an older worker would do harm with what it understands of a note.
VERSION = 1
# A step costs a transaction more; sixteen records make that small.
STEP_RECORDS = 16
# For what kills the worker but not the process of the trial, which almost never happens.
_DEATHS_ALONE = 3


@dataclass(frozen=True)
class Plan:
    """What a bounded run does with a partition, frozen when the run began and kept with its offset.

    Args:
        since, until: offsets from the first to behind the last.
        asked: the range as it was asked for.
        labels: digest of all that decides which labels are written, and where.
    """

    since: int
    until: int
    asked: str
    labels: str

    def done(self, offset: int) -> int:
        """Return how many offsets of the range are done where `offset` is committed."""
        return min(max(offset, self.since), self.until) - self.since


@dataclass(frozen=True)
class Journal:
    """One note.

    Args:
        state: see above.
        worker: incarnation of the process that wrote it.
        suspects: records behind the offset that may have been in flight when a process died.
        single_until: records before this offset were named together when a process died.
        named_until: offset behind the named records.
        deaths: processes that died while one record was named alone.
        alone: offset of that record.
        plan: of a bounded run.
        version: of this format.
    """

    state: Literal["closed", "open", "named", "unknown"]
    worker: str
    suspects: int = 0
    single_until: int = 0
    named_until: int = 0
    deaths: int = 0
    alone: int = 0
    plan: Plan | None = None
    version: int = VERSION

    def dumps(self) -> str:
        """Return the metadata string."""
        return _ADAPTER.dump_json(self, exclude_none=True).decode()

    @staticmethod
    def loads(metadata: str | None) -> "Journal | None":
        """Return the note in a metadata string, `unknown` where a later version wrote it; None where it is no note."""
        try:
            note = _ADAPTER.validate_json(metadata or "")
        except ValidationError:
            return _UNKNOWN if _is_note(metadata or "") else None
        # What follows from an earlier version's note is written in this one's.
        return replace(note, version=VERSION) if note.version <= VERSION else _UNKNOWN

    @property
    def is_unknown(self) -> bool:
        """Whether a later version wrote it."""
        return self.state == "unknown"


_ADAPTER = TypeAdapter(Journal)
_UNKNOWN = Journal("unknown", "")


def _is_note(metadata: str) -> bool:
    try:
        said = json.loads(metadata)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and {"state", "worker"} <= said.keys()


class Care(Enum):
    """What must go before records are touched."""

    NONE = "nothing"
    STEP = "named"
    SINGLE = "named alone"
    TRIAL = "named alone, and tried"


@dataclass(frozen=True)
class Caution:
    """How carefully a lane must go on.

    Args:
        note: what is suspected, with nothing in flight.
        end: offset behind the partition's last record at the claim: what came later was in nobody's flight.
    """

    note: Journal
    end: int

    @classmethod
    def at_claim(cls, found: Journal | None, *, worker: str, offset: int, end: int, in_flight: int) -> "Caution":
        """Return what follows from the journal that is found beside the committed offset.

        Args:
            found: the journal.
            worker: this process's incarnation.
            offset: the committed offset.
            end: as above.
            in_flight: records of a partition that a worker has in flight at most.
        """
        if found is None:
            return cls(Journal("closed", worker), end)
        if found.is_unknown:
            # This is slower but safe: the writer may have died of what was in flight.
            return cls(_without_outdated(Journal("closed", worker, suspects=in_flight), offset, end), end)
        note = replace(found, state="closed", worker=worker, named_until=0)
        if found.worker == worker:
            # The same process claims again: a lane broke, nobody died.
            if found.state == "open":
                note = replace(note, suspects=0)
        elif found.state == "named" and found.single_until > offset:
            alone = found.named_until - 1
            note = replace(note, alone=alone, deaths=found.deaths + 1 if found.alone == alone else 1)
        elif found.state == "named":
            note = replace(note, single_until=found.named_until, deaths=0)
        return cls(_without_outdated(note, offset, end), end)

    @property
    def care(self) -> Care:
        """What the next records need."""
        if self.trial:
            return Care.TRIAL
        if self.single:
            return Care.SINGLE
        return Care.STEP if self.careful else Care.NONE

    @property
    def careful(self) -> bool:
        """Whether records must be named before they are touched, one step at a time."""
        return self.note.suspects > 0 or self.single

    @property
    def single(self) -> bool:
        """Whether the next record must be named alone."""
        return self.note.single_until > 0

    @property
    def trial(self) -> bool:
        """Whether the next record must survive a trial first."""
        return self.note.deaths > 0

    @property
    def condemned(self) -> bool:
        """Whether the next record is poison without a trial."""
        return self.note.deaths >= _DEATHS_ALONE

    @property
    def step(self) -> int:
        """Records in the next step, where `careful`."""
        return 1 if self.single else STEP_RECORDS

    def at(self, offset: int) -> "Caution":
        """Return the caution for records from `offset` on: what was suspected before it may be gone."""
        note = self.note if self.note.alone == offset else replace(self.note, deaths=0)
        return replace(self, note=_without_outdated(note, offset, self.end))

    def at_rest(self, credit: int) -> Journal:
        """Return the note of a lane that goes on: `credit` records may be in flight, none if it is careful."""
        return self.note if self.careful else replace(self.note, state="open", suspects=credit)

    def named(self, until: int) -> Journal:
        """Return the note that names the records before `until`."""
        return replace(self.note, state="named", named_until=until)

    def given_up(self, dropped: int) -> Journal:
        """Return the note of a lane that is given up in order: nobody died, but what was dropped may yet kill."""
        return self.note if self.careful or not dropped else replace(self.note, suspects=dropped)

    def ended(self) -> Journal:
        """Return the note of a bounded run that has nothing left to do here."""
        return Journal("closed", self.note.worker, plan=self.note.plan)

    def after(self, offset: int, records: int) -> "Caution":
        """Return the caution that is left when `records` records up to `offset` are settled."""
        if not self.careful:
            return self
        note = replace(self.note, suspects=max(0, self.note.suspects - records), deaths=0)
        return replace(self, note=_without_outdated(note, offset, self.end))


def _without_outdated(note: Journal, offset: int, end: int) -> Journal:
    """Drop suspicions that cannot be meant any more at `offset`."""
    if offset >= end:
        note = replace(note, suspects=0)
    if offset >= note.single_until:
        note = replace(note, single_until=0, deaths=0)
    return note
