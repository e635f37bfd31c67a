"""What can go wrong, and what follows from it: the type of an error is the decision.

WorkerError
├── TransientError       may pass by itself: try again, with backoff, until the budget is spent
├── InvalidRecordError   this record cannot be processed: dead letter, and go on
│   └── PoisonError      this record kills the process that touches it: dead letter, untouched
├── LaneError            this partition's claim is gone or broken: rebuild the lane
├── SettingsError        wrong usage or settings: one line, exit code 2, before anything starts
└── FatalError           nothing sensible can follow: stop loudly, exit code 1
"""


class WorkerError(Exception):
    """Root of the worker's errors."""


class TransientError(WorkerError):
    """What failed may succeed when it is tried again; what follows when the budget is spent, the caller says."""


class InvalidRecordError(WorkerError):
    """A record that will never be processed, however often it is tried.

    `stage` is the room that found it, `reason` a code for counting; the message names the
    field and the kind of what stands there. It goes into logs, headers and traces, and holds nothing that people wrote.
    """

    def __init__(self, stage: str, message: str, *, reason: str = "other") -> None:
        super().__init__(message)
        self.stage = stage
        self.reason = reason


class PoisonError(InvalidRecordError):
    """A record that kills or hangs the process that touches it."""

    def __init__(self, message: str) -> None:
        super().__init__("poison", message, reason="poison")


class LaneError(WorkerError):
    """A partition was lost, fenced or cut off while a slice of it was in flight."""


class SettingsError(WorkerError):
    """Settings or arguments that cannot be used."""


class FatalError(WorkerError):
    """The process must end."""
