"""What the door refuses, and what follows from it.

ServingError
├── OverloadedError   more than can be labelled in time: 429, come back after a while
├── RateError         more than this key may ask: 429, likewise
├── LoadingError      the model is not loaded yet: 503, come back after a while
├── ClosingError      the process ends: 503, ask another one
├── DeadlineError     it was accepted, and took too long: 504
├── BrokenError       the model no longer works, and the process ends over it: 503
├── KeyRefusedError   no key, or one that nobody has: 401
├── RequestError      it can never be answered as it is: 400, 404, 413
└── GoneError         its client went away: nobody reads the answer
"""

from worker.errors import WorkerError


class ServingError(WorkerError):
    """Root of what a request may end with though nothing is wrong with its post.

    Attributes:
        status: of the answer.
        reason: code, as clients and `moderate_serving_refused_total` have it.
        retry_after_seconds: after which it may be tried again; None where that helps nothing.
    """

    status = 500
    reason = "internal"
    retry_after_seconds: float | None = None


class OverloadedError(ServingError):
    """A request that was refused because too much waits; nothing of it was kept.

    Args:
        message: what there is too much of.
        retry_after_seconds: after which it may be tried again.
        reason: full, or late (it could not be done in time).
    """

    status = 429

    def __init__(self, message: str, *, retry_after_seconds: float, reason: str) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.reason = reason


class RateError(ServingError):
    """A request beyond what its key may ask."""

    status = 429
    reason = "rate"

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class LoadingError(ServingError):
    """A request that came before the model was loaded."""

    status = 503
    reason = "loading"
    retry_after_seconds = 5


class ClosingError(ServingError):
    """A request that came while the process drains."""

    status = 503
    reason = "closing"
    retry_after_seconds = 1


class DeadlineError(ServingError):
    """A request whose deadline passed before all of its posts were labelled."""

    status = 504
    reason = "deadline"


class BrokenError(ServingError):
    """A request that was under way when the model broke."""

    status = 503
    reason = "broken"


class KeyRefusedError(ServingError):
    """A request without a key that is known."""

    status = 401
    reason = "key"


class RequestError(ServingError):
    """A request that can never be answered as it is.

    Args:
        message: what is wrong with it; nothing that people wrote.
        status: of the answer.
        reason: code.
    """

    def __init__(self, message: str, *, status: int = 400, reason: str = "request") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class GoneError(ServingError):
    """A request whose client went away."""

    status = 499
    reason = "gone"
