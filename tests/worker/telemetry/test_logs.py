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
