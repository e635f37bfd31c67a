"""One dead letter, for a person or a program to read."""

import base64
import json
from typing import Any

import click

from schemas import Replay
from worker.commands.dead_letters.letters import Letter
from worker.commands.terminal import harmless, iso, moment

_VALUE_CHARS = 1000
_HEADER_CHARS = 200


def print_letter(letter: Letter, replay: Replay | None) -> None:
    """Print a letter; what somebody else wrote cannot steer the terminal."""
    reason = letter.reason
    rows: list[tuple[str, str]] = [("dead letter", _place(letter)), ("written", moment(letter.timestamp))]
    if reason is None:
        rows.append(("reason", "its headers do not say it as the worker does"))
    else:
        rows += [
            ("post", str(letter.post)),
            ("stage", reason.stage),
            ("error", reason.exception_message),
            ("class", reason.exception_class_name),
        ]
    attempts = "its header is not a number" if letter.attempts is None else str(letter.attempts)
    if letter.replay_of is not None:
        attempts += f", the last a replay of {harmless(letter.replay_of, _HEADER_CHARS)}"
    rows += [
        ("post id", letter.post_id or "unknown"),
        ("community", letter.community or "unknown"),
        ("attempts", attempts),
        ("replayed", _replayed(replay)),
        ("key", "none" if letter.key is None else harmless(_text(letter.key), _HEADER_CHARS)),
    ]
    rows += [("header", f"{name}: {_header(value)}") for name, value in letter.post_headers]
    rows.append(("bytes", "none: the record has no value" if letter.value is None else f"{len(letter.value):,}"))
    for name, value in rows:
        click.echo(click.style(f"{name:<13}", bold=True) + harmless(value, _VALUE_CHARS))
    if letter.value:
        text = _text(letter.value)
        click.echo(harmless(text, _VALUE_CHARS))
        if len(text) > _VALUE_CHARS:
            click.echo("(cut: --raw writes all of it)")


def as_json(letter: Letter, replay: Replay | None) -> str:
    """Return a letter as one JSON object."""
    reason = letter.reason
    about: dict[str, Any] = {
        "dead_letter": str(letter.position),
        "written_at": iso(letter.timestamp),
        "parts": len(letter.offsets),
        "post": None if letter.post is None else str(letter.post),
        "stage": reason and reason.stage,
        "error": reason and {"class": reason.exception_class_name, "message": reason.exception_message},
        "post_id": letter.post_id,
        "community": letter.community,
        "attempts": letter.attempts,
        "replay_of": letter.replay_of,
        "replayed": replay and json.loads(replay.model_dump_json()),
        **_encoded("key", letter.key),
        "headers": [{"name": name, **_encoded("value", value)} for name, value in letter.headers],
        **_encoded("value", letter.value),
    }
    return json.dumps(about)


def _encoded(name: str, value: bytes | None) -> dict[str, str | None]:
    """Return bytes as text where they are UTF-8, as base64 under another name where they are not."""
    try:
        return {name: None if value is None else value.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(value or b"").decode()}


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace")


def _header(value: bytes | None) -> str:
    return "none" if value is None else harmless(_text(value), _HEADER_CHARS)


def _place(letter: Letter) -> str:
    count = len(letter.offsets)
    return str(letter.position) if count == 1 else f"{letter.position}, in {count} parts"


def _replayed(replay: Replay | None) -> str:
    if replay is None:
        return "no"
    when = harmless(replay.replayed_at.strftime("%Y-%m-%d %H:%M:%SZ"))
    return f"{when}, as attempt {replay.attempt}"
