"""What the labeller refuses, and what follows from it.

ServingError
├── OverloadedError   more than can be labelled in time: 429, come back after a while
├── ClosingError      the process ends: 503, ask another one
├── DeadlineError     it was accepted, and took too long: 504
└── BrokenError       the model no longer works, and the process ends over it: 503
"""

from worker.errors import WorkerError


class ServingError(WorkerError):
    """Root of what a request may end with though nothing is wrong with its post."""


class OverloadedError(ServingError):
    """A request that was refused because too much waits; nothing of it was kept.

    Args:
        message: what there is too much of.
        retry_after_seconds: after which it may be tried again.
        reason: code for counting: full, late (it could not be done in time).
    """

    def __init__(self, message: str, *, retry_after_seconds: float, reason: str) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.reason = reason


class ClosingError(ServingError):
    """A request that came while the process drains."""


class DeadlineError(ServingError):
    """A request whose deadline passed before all of its posts were labelled."""


class BrokenError(ServingError):
    """A request that was under way when the model broke."""
