"""Partitions that cannot be read stand still by themselves, and are looked at again."""

from typing import Any

import pytest
from aiokafka import TopicPartition
from structlog.testing import capture_logs

from worker.broker.fetching import UnreadableBatchError
from worker.intake.standstill import Standstills
from worker.telemetry.metrics import sample

SOURCE = TopicPartition("posts", 3)


class HeldLane:
    """Notes whether it may fetch."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def hold(self) -> None:
        self.calls.append("hold")

    def go_on(self) -> None:
        self.calls.append("go on")


class Case:
    """One partition whose lane may change, and a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lanes: dict[TopicPartition, HeldLane] = {SOURCE: HeldLane()}
        lanes: Any = self.lanes
        self.standstills = Standstills(lanes, clock=lambda: self.now)

    def fail(self, times: int = 1, offset: int = 7) -> None:
        """Read in vain, as soon as it may be read."""
        for _ in range(times):
            self.standstills.note(UnreadableBatchError(SOURCE, offset, "the checksum is wrong"))
            self.now += 0.2
            self.standstills.look_again()


def test_three_readings_in_vain_are_damage() -> None:
    """The first two are taken for the network's; the third is said once, and the partition is read again later."""
    case = Case()
    with capture_logs() as logs:
        case.fail(2)
        assert case.standstills.certain == 0
        assert case.lanes[SOURCE].calls == ["hold", "go on"] * 2
        case.fail(2)
    assert [(line["event"], line["log_level"], line["offset"]) for line in logs] == [
        ("partition_unreadable", "error", 7)
    ]
    assert case.standstills.certain == sample("moderate_unreadable_partitions") == 1
    assert case.lanes[SOURCE].calls[-1] == "hold"
    case.now += 11
    case.standstills.look_again()
    case.standstills.look_again()
    assert case.lanes[SOURCE].calls[-2:] == ["hold", "go on"]


def test_what_can_be_read_again_is_forgotten() -> None:
    """Records of the partition end its standstill; another place that cannot be read begins a new count."""
    case = Case()
    case.fail(3)
    with capture_logs() as logs:
        case.standstills.note_read([SOURCE])
        case.standstills.look_again()
    assert [line["event"] for line in logs] == ["partition_readable_again"]
    assert case.standstills.certain == sample("moderate_unreadable_partitions") == 0
    case.fail(2, offset=9)
    case.fail(2, offset=12)
    assert case.standstills.certain == 0


@pytest.mark.parametrize("successor", [None, HeldLane()], ids=["revoked", "opened anew"])
def test_a_lane_that_is_gone_is_not_touched(successor: HeldLane | None) -> None:
    """The standstill ends with its lane; the next lane finds the damage by itself."""
    case = Case()
    case.fail(3)
    gone = case.lanes.pop(SOURCE)
    if successor is not None:
        case.lanes[SOURCE] = successor
    calls = len(gone.calls)
    case.now += 100
    case.standstills.look_again()
    assert case.standstills.certain == 0
    assert len(gone.calls) == calls
    assert successor is None or not successor.calls
    if successor is None:
        case.fail()
        assert case.standstills.certain == 0
