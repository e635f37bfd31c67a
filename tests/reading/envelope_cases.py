"""The table, continued: posts that come wrapped in something."""

import base64
import json
from typing import Any

from mmorient import PostReader
from tests.reading.cases import BASE64, URL, Case, post
from tests.reading.network_cases import NETWORKS
from tests.reading.wrapping import POST, dumped


def debezium(op: str, after: Any = POST, before: Any = None) -> dict[str, Any]:
    """Return a change event without its schema."""
    return {"before": before, "after": after, "source": {"connector": "postgresql"}, "op": op, "ts_ms": 1}


def cloud_event(**fields: Any) -> bytes:
    """Return a CloudEvent in structured mode."""
    about = {"specversion": "1.0", "id": "event-1", "source": "/posts", "type": "post.created"}
    return json.dumps(about | fields).encode()


_POINTERS = PostReader(fields={"id": "/after/key", "text": "/after/body", "media": "/after/images"})
_ROW = {"key": 7, "body": "b", "images": [URL]}

FRAMED = (
    Case("Confluent's five bytes", b"\0\0\0\0\x2a" + post(), "dead letter: no_json", "text", {"text": "b"}),
    Case(
        "Confluent's five bytes, half an emoji",
        b"\0\0\0\0\x2a" + rb'{"id": "a", "text": "\ud83d"}',
        "dead letter: no_json",
        "text",
    ),
    Case("Apicurio's nine bytes", b"\0\0\0\0\0\0\0\0\x2a" + post(), "dead letter: no_json", "text"),
    Case("AWS Glue's eighteen bytes", b"\x03\0" + bytes(range(16)) + post(), "dead letter: no_json", "text"),
    Case(
        "Avro or Protobuf of a registry", b"\0\0\0\0\x2a\x02a\x02b", "dead letter: no_json", "dead letter: unsupported"
    ),
    Case("a file of Avro", b"Obj\x01\x04\x14avro.codec", "dead letter: no_json", "dead letter: unsupported"),
    Case(
        "one object of Avro", b"\xc3\x01" + bytes(8) + b"\x02a\x02b", "dead letter: no_json", "dead letter: unsupported"
    ),
)

DATABASES = (
    Case("Debezium, a new row", dumped(**debezium("c")), "dead letter: no_post", "text", {"id": "a", "text": "b"}),
    Case(
        "Debezium, a changed row",
        dumped(**debezium("u", before={"id": "a", "text": "old"})),
        "dead letter: no_post",
        "text",
        {"text": "b"},
    ),
    Case("Debezium, a row of the snapshot", dumped(**debezium("r")), "dead letter: no_post", "text"),
    Case(
        "Debezium with its schema",
        dumped(schema={"type": "struct"}, payload=debezium("c")),
        "dead letter: no_post",
        "text",
        {"text": "b"},
    ),
    Case(
        "Debezium of MongoDB",
        dumped(**debezium("c", after=json.dumps(POST))),
        "dead letter: no_post",
        "text",
        {"text": "b"},
    ),
    Case(
        "Debezium, media as JSON",
        dumped(**debezium("c", POST | {"media": json.dumps([URL])})),
        "dead letter: no_post",
        "text, image",
        {},
        (URL,),
    ),
    Case(
        "Debezium, a row without an id",
        dumped(**debezium("c", {"text": "b"})),
        "dead letter: no_post",
        "dead letter: no_post",
    ),
    Case("Debezium, a deletion", dumped(**debezium("d", None, POST)), "dead letter: no_post", "passed over: deletion"),
    Case(
        "Debezium, a deletion with its schema",
        dumped(schema={}, payload=debezium("d", None, POST)),
        "dead letter: no_post",
        "passed over: deletion",
    ),
    Case(
        "Debezium, a truncation",
        dumped(op="t", before=None, after=None),
        "dead letter: no_post",
        "passed over: deletion",
    ),
    Case(
        "Debezium, a message",
        dumped(op="m", before=None, after=None, message={}),
        "dead letter: no_post",
        "passed over: no_post",
    ),
    Case("Debezium, flattened", post(__deleted="false", __op="c"), "text", "text"),
    Case("Debezium, a flattened deletion", post(__deleted="true"), "text", "passed over: deletion"),
    Case(
        "Connect's JSON",
        dumped(schema={"type": "struct", "fields": []}, payload=POST),
        "dead letter: no_post",
        "text",
        {"text": "b"},
    ),
    Case("Connect's JSON, without a schema", dumped(schema=None, payload=POST), "dead letter: no_post", "text"),
    Case(
        "Connect's JSON, without a value",
        dumped(schema=None, payload=None),
        "dead letter: no_post",
        "passed over: deletion",
    ),
    Case(
        "Connect's JSON of a string",
        dumped(schema={"type": "string"}, payload=json.dumps(POST)),
        "dead letter: no_post",
        "text",
    ),
    Case(
        "Connect's JSON of a number",
        dumped(schema={"type": "int32"}, payload=5),
        "dead letter: no_post",
        "dead letter: no_post",
    ),
)

CLOUD_EVENTS = (
    Case("a CloudEvent", cloud_event(data=POST), "dead letter: no_post", "text", {"id": "a", "text": "b"}),
    Case("a CloudEvent of a string", cloud_event(data=json.dumps(POST)), "dead letter: no_post", "text", {"id": "a"}),
    Case(
        "a CloudEvent of bytes",
        cloud_event(data_base64=base64.b64encode(json.dumps(POST).encode()).decode()),
        "dead letter: no_post",
        "text",
        {"id": "a"},
    ),
    Case(
        "a CloudEvent of a change event", cloud_event(data=debezium("c")), "dead letter: no_post", "text", {"id": "a"}
    ),
    Case("a CloudEvent without data", cloud_event(), "dead letter: no_post", "dead letter: no_post"),
    Case("a CloudEvent of broken base64", cloud_event(data_base64="%"), "dead letter: no_post", "dead letter: no_post"),
    Case("a CloudEvent of no JSON", cloud_event(data="hello"), "dead letter: no_post", "dead letter: no_json"),
    Case(
        "a CloudEvent of a deletion",
        cloud_event(type="post.deleted", subject="a"),
        "dead letter: no_post",
        "passed over: deletion",
    ),
)

SET = (
    Case(
        "a map of fields",
        dumped(**debezium("c", _ROW)),
        "dead letter: no_post",
        "text, image",
        {"id": "7", "text": "b"},
        (URL,),
        _POINTERS,
    ),
    Case(
        "a map of fields, a deletion",
        dumped(**debezium("d", None, _ROW)),
        "dead letter: no_post",
        "passed over: deletion",
        reader=_POINTERS,
    ),
    Case(
        "a map of fields that leads nowhere",
        dumped(after={}),
        "dead letter: no_post",
        "dead letter: no_post",
        reader=_POINTERS,
    ),
    Case(
        "a map of one field, within the envelope",
        cloud_event(data={"id": 7, "body": ["b"]}),
        "dead letter: no_post",
        "text",
        {"id": "7", "text": "b"},
        reader=PostReader(fields={"text": "/body/0"}),
    ),
    Case(
        "a map with slashes in names",
        dumped(**{"id": "a", "te/xt": {"m~n": "b"}}),
        "dead letter: no_post",
        "text",
        {"text": "b"},
        reader=PostReader("post", {"text": "/te~1xt/m~0n"}),
    ),
    Case(
        "post alone, a change event",
        dumped(**debezium("c")),
        "dead letter: no_post",
        "dead letter: no_post",
        reader=PostReader("post"),
    ),
    Case("debezium alone, a post", post(), "text", "dead letter: no_post", reader=PostReader("debezium")),
    Case(
        "debezium alone, with its schema",
        dumped(schema={}, payload=debezium("c")),
        "dead letter: no_post",
        "text",
        reader=PostReader("debezium"),
    ),
    Case(
        "cloudevents alone, an event with a text",
        cloud_event(text="about", data=POST),
        "text",
        "text",
        {"id": "a"},
        reader=PostReader("cloudevents"),
    ),
    Case(
        "a picture inside an envelope",
        cloud_event(data={"id": "a", "media": [{"data": BASE64}]}),
        "dead letter: no_post",
        "image",
    ),
)

ENVELOPES = (*FRAMED, *DATABASES, *CLOUD_EVENTS, *NETWORKS, *SET)
