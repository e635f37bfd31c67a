"""What was found of a post, a line each, for a terminal or a program."""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

from aiokafka.structs import ConsumerRecord

from mmorient import ParsedPost, PostError, PostReader
from worker.broker.positions import Position
from worker.commands.dead_letters.letters import Letter
from worker.commands.labels.searching import Found
from worker.commands.terminal import harmless, iso, moment

_TEXT_CHARS = 160
_CHECKPOINT_CHARS = len("sha256:") + 12


def lines_of(found: Found) -> Iterator[str]:
    """Yield the lines for a terminal: one a task or decision, or one for a dead letter."""
    when = moment(found.timestamp)
    if isinstance(found, Letter):
        reason = found.reason
        why = f"{reason.stage}: {reason.exception_message}" if reason else "its headers do not say why"
        attempts = f", after {found.attempts} replays" * bool(found.attempts)
        yield f"  {when}  dead letter{attempts}, {harmless(why, _TEXT_CHARS)}  at {harmless(str(found.position))}"
        return
    model = _mapping(found.label.get("model"))
    stamp = f"{_short(model.get('checkpoint'))} {model.get('precision')} {model.get('graph_context')}"
    if is_decision(found.label):
        policy = harmless(_short(_mapping(found.label.get("policy")).get("version")))
        for one in map(_mapping, _list(found.label.get("decisions"))):
            said = f"{harmless(str(one.get('decision')), 22)} by {harmless(str(one.get('rule')), 40)}"
            where = f"policy {policy}  at {harmless(str(found.position))}"
            yield f"  {when}  {'decision':<14}{said:<48}{harmless(_reached(one))}  {where}"
        return
    for task, answer in _answers(found.label):
        said = f"{_said(answer):<24}{_intensity(answer):<24}"
        held = answer.get("threshold")
        rule = f" threshold {held:g}" if isinstance(held, int | float) else ""
        where = f"{harmless(stamp)}{rule}  at {harmless(str(found.position))}"
        yield f"  {when}  {harmless(task, 20):<14}{harmless(said)}{where}"


def as_json(found: Found) -> str:
    """Return one JSON line."""
    about: dict[str, Any] = {"position": str(found.position), "written_at": iso(found.timestamp)}
    if isinstance(found, Letter):
        reason = found.reason
        about |= {"kind": "dead_letter", "stage": reason and reason.stage}
        about |= {"error": reason and reason.exception_message, "attempts": found.attempts}
    else:
        about |= {"kind": "decision" if is_decision(found.label) else "label", "value": found.label}
    return json.dumps(about | {"post": None if found.post is None else str(found.post)})


def is_post(record: ConsumerRecord | None, post_id: str, reader: PostReader) -> bool:
    """Return whether a record is a post of this id."""
    post = None if record is None else _post(record, reader)
    return post is not None and post.id == post_id


def post_line(position: Position, record: ConsumerRecord | None, post_id: str, reader: PostReader) -> str:
    """Return the line about a post itself."""
    where = harmless(str(position))
    if record is None:
        return f"{where}: no longer in the topic"
    post = _post(record, reader)
    if post is None:
        said = (record.value or b"").decode(errors="backslashreplace")
        return f"{where}, {moment(record.timestamp)}, no post: {harmless(said, _TEXT_CHARS)}"
    if post.id != post_id:
        return f"{where}: another post stands there now"
    quoted = f'"{harmless(post.text, _TEXT_CHARS)}"' if post.text is not None else "(no text)"
    pictures = f", {len(post.media) + post.media_left_out} media" if post.media else ""
    community = f", in {harmless(post.community, 40)}" if post.community is not None else ""
    return f"{where}, {moment(record.timestamp)}{community}{pictures}: {quoted}"


def post_json(position: Position, record: ConsumerRecord | None) -> str:
    """Return one JSON line about a post itself; bytes that are no UTF-8 as base64."""
    about: dict[str, Any] = {"position": str(position), "kind": "post", "there": record is not None}
    if record is not None:
        about["written_at"] = iso(record.timestamp)
        try:
            about["value"] = (record.value or b"").decode()
        except UnicodeDecodeError:
            about["value_base64"] = base64.b64encode(record.value).decode()
    return json.dumps(about)


def _answers(label: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    together = label.get("labels")
    if isinstance(together, dict):
        for task, answer in together.items():
            yield task, _mapping(answer)
    else:
        yield str(label.get("task")), label


def _said(answer: Mapping[str, Any]) -> str:
    name = str(answer.get("label"))
    probability = _mapping(answer.get("probabilities")).get(name)
    return f"{name} {probability:.2f}" if isinstance(probability, int | float) else name


def _intensity(answer: Mapping[str, Any]) -> str:
    inner = answer.get("intensity")
    return f"({_said(inner)})" if isinstance(inner, dict) else ""


def is_decision(value: Mapping[str, Any]) -> bool:
    """Return whether the value of a record is what was decided, and no label."""
    return str(value.get("schema")).startswith("decision/")


def _reached(one: Mapping[str, Any]) -> str:
    numbers = [one.get("probability"), one.get("threshold")]
    said = [f"{number:g}" if isinstance(number, int | float) else str(number) for number in numbers]
    return f"{one.get('task')} {one.get('label')} {said[0]} reaches {said[1]}"


def _short(digest: object) -> str:
    return str(digest)[:_CHECKPOINT_CHARS]


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _post(record: ConsumerRecord, reader: PostReader) -> ParsedPost | None:
    try:
        found = reader.read(record.value or b"")
    except PostError:
        return None
    return found if isinstance(found, ParsedPost) else None
