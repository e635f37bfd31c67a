"""Logs: JSON for programs, one line of a kind in a while."""

import io
import json
import logging

import pytest
import structlog

from worker.telemetry.logs import RepeatFilter, configure_logs, say_repeated

pytestmark = pytest.mark.usefixtures("kept_logging")


def test_lines_are_json_off_a_terminal() -> None:
    """Our events and other libraries' lines come out as JSON objects of the same shape."""
    stream = io.StringIO()
    configure_logs("info", "auto", stream)
    structlog.get_logger("worker.x").info("lane_open", partition=3)
    logging.getLogger("aiokafka.y").error("gone: %s", "broker")
    logging.getLogger("aiokafka.y").info("chatter")
    ours, theirs = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (ours["event"], ours["partition"], ours["level"], ours["logger"]) == ("lane_open", 3, "info", "worker.x")
    assert (theirs["event"], theirs["level"]) == ("gone: broker", "error")
    assert "timestamp" in ours


def test_a_console_line_reads_well() -> None:
    """Asked for by name, lines are for people."""
    stream = io.StringIO()
    configure_logs("info", "console", stream)
    structlog.get_logger("worker.x").warning("redis_unavailable", retry_seconds=5)
    assert "redis_unavailable" in stream.getvalue()
    assert "retry_seconds=5" in stream.getvalue()


def test_a_flood_is_one_line_of_a_kind() -> None:
    """Warnings of the same kind pass once in five seconds; other kinds and plain information pass."""
    now = 0.0
    gate = RepeatFilter(5.0, clock=lambda: now)

    def line(level: int, message: str) -> logging.LogRecord:
        return logging.LogRecord("aiokafka", level, "f", 1, message, None, None)

    assert [gate.filter(line(logging.ERROR, "down")) for _ in range(3)] == [True, False, False]
    assert gate.filter(line(logging.ERROR, "other"))
    assert all(gate.filter(line(logging.INFO, "fine")) for _ in range(3))
    now = 6.0
    assert gate.filter(line(logging.ERROR, "down"))


def test_our_own_lines_are_filtered_too_and_nothing_is_kept_for_ever() -> None:
    """The same event with the same fields passes once; another position is another line. Kinds are bounded."""
    now = 0.0
    gate = RepeatFilter(5.0, clock=lambda: now, most_kinds=3)

    def line(**fields: object) -> logging.LogRecord:
        event = {"event": "dead_letter", "timestamp": object(), **fields}
        return logging.LogRecord("worker", logging.WARNING, "f", 1, event, None, None)

    assert [gate.filter(line(position="posts[0]@1")) for _ in range(3)] == [True, False, False]
    for number in range(2, 100):
        assert gate.filter(line(position=f"posts[0]@{number}"))
    assert len(gate._last) == 3
    assert not gate.filter(line(position="posts[0]@99"))
    assert gate.filter(line(position="posts[0]@1")), "forgotten long ago"


def test_what_repeats_is_counted_on_the_next_line_of_its_kind() -> None:
    """The line that passes says how many like it did not; our own events are told apart by their names."""
    now = 0.0
    gate = RepeatFilter(5.0, clock=lambda: now)

    def line(message: object) -> logging.LogRecord:
        return logging.LogRecord("worker", logging.WARNING, "f", 1, message, None, None)

    assert [gate.filter(line({"event": "lane_broken"})) for _ in range(4)] == [True, False, False, False]
    assert gate.filter(line({"event": "broker_unreachable"}))
    now = 6.0
    last = line({"event": "lane_broken"})
    assert gate.filter(last)
    assert last.msg == {"event": "lane_broken", "repeated": 3}
    assert not gate.filter(line({"event": "lane_broken"}))
    assert gate.left_out() == [("worker", "lane_broken", 1)]
    assert gate.left_out() == []


def test_a_count_that_no_later_line_brings_is_said() -> None:
    """Once a minute what was left out is named with its count."""
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    say_repeated()
    for number in range(3):
        logging.getLogger("aiokafka.z").warning("node %s is gone for test_logs", number)
    say_repeated()
    first, last = (json.loads(line) for line in stream.getvalue().splitlines())
    assert "repeated" not in first
    assert (last["event"], last["message"], last["repeated"]) == (
        "repeated_lines", "node %s is gone for test_logs", 2,
    )  # fmt: skip


def test_a_normal_start_has_no_error() -> None:
    """A fresh broker has no coordinator for a while: information. What else aiokafka calls an error stays one."""
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    log = logging.getLogger("aiokafka.consumer.group_coordinator")
    # The library's threshold is WARNING: what is softened was an error when it came.
    log.error("Group Coordinator Request failed: %s", "[Error 15] GroupCoordinatorNotAvailableError")
    log.error("Group Coordinator Request failed: %s", "[Error 30] GroupAuthorizationFailedError")
    levels = [json.loads(line)["level"] for line in stream.getvalue().splitlines()]
    assert levels == ["info", "error"]
