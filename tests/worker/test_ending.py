"""Why a process ends, and its exit code."""

import pytest

from mmorient import CheckpointError
from worker.ending import Ending
from worker.errors import FatalError, SettingsError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("MODERATE_DEVICE: device 'cuda' is not available here"), 2),
        (CheckpointError("new", "no such folder"), 2),
        (FatalError("topic posts does not exist"), 1),
        (OSError(98, "Address already in use"), 1),
    ],
)
def test_what_the_operator_gave_ends_with_2(error: Exception, code: int) -> None:
    """All else that fails ends with 1, and says itself why."""
    ending = Ending()
    ending.fail(error)
    assert (ending.code, ending.why) == (code, str(error))


def test_the_first_reason_counts_and_an_error_more_than_a_signal() -> None:
    """What fails while it is told to stop has failed; what follows a failure is none of its own."""
    ending = Ending()
    ending.note("told to stop by SIGTERM")
    ending.note("told to stop by SIGINT")
    assert (ending.why, ending.code) == ("told to stop by SIGTERM", 0)
    ending.fail(FatalError("the broker refuses"))
    ending.fail(SettingsError("later"))
    ending.note("told to stop by SIGTERM")
    assert (ending.why, ending.code) == ("the broker refuses", 1)
