"""Logs: one line an event, readable on a terminal and JSON otherwise, on standard error."""

import logging
import sys
import time
from collections.abc import Callable
from typing import TextIO

import structlog
from aiokafka.errors import KafkaError

# aiokafka writes 2,700 lines a worker in 17 s of a broker outage; one line a kind in 5 s says the same.
_SAME_LINE_SECONDS = 5.0
_MOST_KINDS = 1000
_CHATTY = ("aiokafka", "faust", "mode", "httpx", "httpcore")


class RepeatFilter(logging.Filter):
    """Lets one line of each kind pass in a while.

    A line's kind is its logger, its level and its message before its arguments are filled in. Of our own lines it is
    the event with all of its fields: two dead letters are two lines.

    Args:
        seconds: length of the while.
        clock: monotonic seconds.
        most_kinds: that are remembered; of more, the one that passed longest ago is forgotten.
    """

    def __init__(
        self, seconds: float, clock: Callable[[], float] = time.monotonic, most_kinds: int = _MOST_KINDS
    ) -> None:
        super().__init__()
        self._seconds = seconds
        self._clock = clock
        self._most_kinds = most_kinds
        self._last: dict[tuple[str, int, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line passes."""
        if record.levelno < logging.WARNING:
            return True
        kind = (record.name, record.levelno, _message(record.msg))
        now = self._clock()
        if now - self._last.get(kind, float("-inf")) < self._seconds:
            return False
        # Put in again, so that the first of the dictionary is the one that passed longest ago.
        self._last.pop(kind, None)
        while len(self._last) >= self._most_kinds:
            del self._last[next(iter(self._last))]
        self._last[kind] = now
        return True


def _message(message: object) -> str:
    """Return what makes a line the same as another: structlog's are dictionaries, each with a time of its own."""
    if not isinstance(message, dict):
        return str(message)
    return repr(sorted((name, repr(value)) for name, value in message.items() if name != "timestamp"))


def _is_abandoned(record: logging.LogRecord) -> bool:
    """Return whether asyncio tells of a future that aiokafka left behind with its error: the lane has said it."""
    error = record.exc_info[1] if record.exc_info else None
    return record.name == "asyncio" and "never retrieved" in record.getMessage() and isinstance(error, KafkaError)


def configure_logs(level: str, style: str, stream: TextIO = sys.stderr) -> None:
    """Send structlog and the standard library's loggers to `stream`.

    Args:
        level: debug, info, warning or error.
        style: console, json, or auto (console where `stream` is a terminal).
        stream: where lines go.
    """
    readable = style == "console" or (style == "auto" and stream.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if readable else "iso", utc=not readable),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    last: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=stream.isatty())]
        if readable
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    handler.addFilter(lambda record: not _is_abandoned(record))
    handler.addFilter(RepeatFilter(_SAME_LINE_SECONDS))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
