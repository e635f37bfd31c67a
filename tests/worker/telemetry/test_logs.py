"""Logs: JSON for programs, one line of a kind in a while."""

import io
import json
import logging

import pytest
import structlog

from worker.telemetry.logs import RepeatFilter, configure_logs

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
