"""Why this process ends, and with which exit code: whoever knows first says it."""

import time
from dataclasses import dataclass, field

from mmorient import CheckpointError
from worker.errors import SettingsError

_WRONG_SETTINGS = 2
_FAILED = 1


@dataclass
class Ending:
    """The end of a process; the first reason counts, and an error more than an orderly stop.

    Args:
        why: in words; None while nothing was said.
        code: of the exit.
        since: when the process began, in monotonic seconds.
    """

    why: str | None = None
    code: int = 0
    since: float = field(default_factory=time.monotonic)

    def note(self, why: str, code: int = 0) -> None:
        """Say why the process ends."""
        if self.why is None or (code and not self.code):
            self.why, self.code = why, code

    def fail(self, error: BaseException) -> None:
        """Say that it ends over an error: 2 where what the operator gave cannot be used, else 1."""
        wrong = isinstance(error, SettingsError | CheckpointError)
        self.note(str(error) or repr(error), _WRONG_SETTINGS if wrong else _FAILED)
