"""Logs: one line an event, readable on a terminal and JSON otherwise, on standard error."""

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import TextIO

import structlog
from aiokafka.errors import KafkaError

# aiokafka writes 2,700 lines a worker in 17 s of a broker outage; one line a kind in 5 s says the same.
_SAME_LINE_SECONDS = 5.0
_MOST_KINDS = 1000
# The first group of a fresh broker waits until the topic of offsets is made; a group that loads, until it is loaded.
_PASSING = ("GroupCoordinatorNotAvailableError", "CoordinatorLoadInProgressError", "GroupLoadInProgressError")
_CHATTY = ("aiokafka", "faust", "mode", "httpx", "httpcore")


# Logger, level, event or message, and the other fields of an event.
_LineKind = tuple[str, int, str, str]


class RepeatFilter(logging.Filter):
    """Lets one line of each kind pass in a while.

    A line's kind is its logger, its level and its message before its arguments are filled in. Of our own lines it is
    the event with all of its fields: two dead letters are two lines.

    The next line of a kind says how many were left out: `repeated`.

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
        self._last: dict[_LineKind, float] = {}
        self._left_out: Counter[_LineKind] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line passes."""
        if record.levelno < logging.WARNING:
            return True
        kind = (record.name, record.levelno, *_said(record.msg))
        now = self._clock()
        if now - self._last.get(kind, float("-inf")) < self._seconds:
            self._left_out[kind] += 1
            return False
        # Put in again, so that the first of the dictionary is the one that passed longest ago.
        self._last.pop(kind, None)
        while len(self._last) >= self._most_kinds:
            del self._last[next(iter(self._last))]
        self._last[kind] = now
        if count := self._left_out.pop(kind, 0):
            _add(record, "repeated", count)
        return True

    def forget(self) -> None:
        """Begin anew, as for other readers."""
        self._last.clear()
        self._left_out.clear()

    def left_out(self) -> list[tuple[str, str, int]]:
        """Return logger, message and number of the lines that no later line has counted; they count as said now."""
        found = [(name, message, count) for (name, _, message, _), count in self._left_out.items()]
        self._left_out.clear()
        return found


def _said(message: object) -> tuple[str, str]:
    """Return what makes a line the same as another: structlog's are dictionaries, each with a time of its own."""
    if not isinstance(message, dict):
        return str(message), ""
    fields = {name: value for name, value in message.items() if name not in {"event", "timestamp"}}
    return str(message.get("event")), repr(sorted((name, repr(value)) for name, value in fields.items()))


def _add(record: logging.LogRecord, name: str, value: object) -> None:
    if isinstance(record.msg, dict):
        record.msg[name] = value
    else:
        setattr(record, name, value)


_repeats = RepeatFilter(_SAME_LINE_SECONDS)


def say_repeated() -> None:
    """Say of the lines that were left out how many they were, where no later line of their kind has."""
    for name, message, count in _repeats.left_out():
        structlog.get_logger(__name__).info("repeated_lines", source=name, message=message, repeated=count)


def soften(record: logging.LogRecord) -> bool:
    """Lower to information what a library calls an error and every healthy start brings; keep the line."""
    if record.name.startswith("aiokafka") and record.levelno > logging.INFO:
        said = f"{record.getMessage()} {record.args!r}"
        if any(name in said for name in _PASSING):
            record.levelno, record.levelname = logging.INFO, "INFO"
    return True


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
    handler.addFilter(soften)
    _repeats.forget()
    handler.addFilter(_repeats)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
