"""What posts come wrapped in: change events of databases, CloudEvents, events of social networks."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mmorient.errors import PostError
from mmorient.input.reading import activitypub, jetstream
from mmorient.input.reading.parsed import PassedOver
from mmorient.input.reading.tolerant_json import read_json

Fields = Mapping[str, Any]
DELETION = PassedOver("deletion")
# A change event in a CloudEvent in Connect's JSON, and one more.
_MOST = 4
# Debezium's operations after which no row is there; m is a message beside the rows.
_GONE = {"d": DELETION, "t": DELETION, "m": PassedOver("no_post")}


@dataclass(frozen=True, slots=True)
class Envelope:
    """One kind of envelope.

    Attributes:
        matches: Whether a record is one.
        fields_of: What it holds, under a post's names; raises PostError where it holds no object.
    """

    matches: Callable[[Fields], bool]
    fields_of: Callable[[Fields], Fields | PassedOver]


def opened(record: Fields, post_format: str) -> Fields | PassedOver:
    """Return the fields that an envelope holds; the record itself where it is none.

    Args:
        record: What was read.
        post_format: One of `ENVELOPES`, which must be there; or `auto`, which stops at what has a post's own fields.

    Raises:
        PostError: The envelope is not there, or holds no object.
    """
    wanted = ENVELOPES.get(post_format)
    fields = record
    for _ in range(_MOST):
        if wanted is None and is_post(fields):
            break
        envelope = wanted if wanted is not None and wanted.matches(fields) else _envelope_of(fields)
        if envelope is None:
            break
        found = envelope.fields_of(fields)
        if isinstance(found, PassedOver):
            return found
        fields = found
        wanted = None if envelope is wanted else wanted
    if wanted is not None:
        said = f"record: is no {post_format} event"
        raise PostError(f"{said} (its fields: {', '.join(map(str, list(record)[:8]))})", plain=said)
    return DELETION if str(fields.get("__deleted")).lower() == "true" else fields


def _envelope_of(fields: Fields) -> Envelope | None:
    return next((envelope for envelope in ENVELOPES.values() if envelope.matches(fields)), None)


def is_post(record: Fields) -> bool:
    """Whether a record brings content under a post's own names."""
    return record.get("text") is not None or record.get("media") is not None


def _is_debezium(record: Fields) -> bool:
    return ("op" in record and ("after" in record or "before" in record)) or {"before", "after"} <= record.keys()


def _debezium(record: Fields) -> Fields | PassedOver:
    if gone := _GONE.get(str(record.get("op"))):
        return gone
    if record.get("after") is None:
        return DELETION
    return _inner(record["after"], "after")


def _is_connect(record: Fields) -> bool:
    return "payload" in record and record.keys() <= {"schema", "payload"}


def _connect(record: Fields) -> Fields | PassedOver:
    return DELETION if record["payload"] is None else _inner(record["payload"], "payload")


def _is_cloud_event(record: Fields) -> bool:
    return "specversion" in record and "type" in record and "source" in record


def _cloud_event(record: Fields) -> Fields | PassedOver:
    encoded = record.get("data_base64")
    if encoded is not None:
        try:
            return _inner(base64.b64decode(encoded, validate=True), "data_base64")
        except (ValueError, TypeError) as error:
            raise PostError(f"data_base64: {error}") from error
    if record.get("data") is None and "delet" in str(record["type"]).lower():
        return DELETION
    if record.get("data") is None:
        raise PostError("data: a CloudEvent without data")
    return _inner(record["data"], "data")


def _inner(value: object, where: str) -> Fields:
    """What an envelope holds may be JSON once more, as a string: MongoDB's documents are."""
    if isinstance(value, str):
        value = value.encode(errors="surrogatepass")
    if isinstance(value, bytes):
        value = read_json(value)
    if not isinstance(value, Mapping):
        raise PostError(f"{where}: holds a {type(value).__name__}, where an object is expected")
    return value


ENVELOPES = {
    "connect": Envelope(_is_connect, _connect),
    "debezium": Envelope(_is_debezium, _debezium),
    "cloudevents": Envelope(_is_cloud_event, _cloud_event),
    "jetstream": Envelope(jetstream.matches, jetstream.fields_of),
    "activitypub": Envelope(activitypub.matches, activitypub.fields_of),
}
