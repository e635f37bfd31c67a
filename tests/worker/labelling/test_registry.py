"""Posts in Avro and Protobuf, by the schemas of a registry that a local server plays."""

import asyncio
import base64
import io
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import fastavro
import pytest
from aiohttp import web
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

from tests.worker.records import StandInRecord
from tests.worker.web_server import web_server
from worker.errors import FatalError, InvalidRecordError
from worker.items import Item
from worker.labelling.decode import decode
from worker.labelling.registry.client import SchemaRegistry
from worker.labelling.registry.kinds import schema_of
from worker.watchdog import Watchdog

MEDIUM = {
    "type": "record",
    "name": "Medium",
    "namespace": "social",
    "fields": [{"name": "url", "type": ["null", "string"]}, {"name": "data", "type": ["null", "bytes"]}],
}
POST: dict[str, Any] = {
    "type": "record",
    "name": "Post",
    "namespace": "social",
    "fields": [
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "created_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "author_id", "type": "long"},
        {"name": "text", "type": ["null", "string"]},
        {"name": "media", "type": {"type": "array", "items": "social.Medium"}},
    ],
}
POST_ID = UUID("12345678-1234-5678-1234-567812345678")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SAID = {"id": POST_ID, "created_at": NOON, "author_id": 9, "text": "b", "media": [{"url": None, "data": b"abc"}]}


def whole(post: Mapping[str, Any] = POST) -> dict[str, Any]:
    """Return the schema of posts with that of media in it."""
    fields = [*POST["fields"][:4], {"name": "media", "type": {"type": "array", "items": MEDIUM}}]
    return {**post, "fields": fields}


def framed(number: int, payload: bytes) -> bytes:
    """Return a record as Confluent's serialisers write it."""
    return b"\0" + number.to_bytes(4) + payload


def avro(schema: dict[str, Any], value: Any, number: int = 1) -> bytes:
    """Return a record in Avro."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema, named_schemas={}), value)
    return framed(number, out.getvalue())


@dataclass
class StandInRegistry:
    """Answers as a registry does, from tables, and counts what it is asked."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    authorization: list[str | None] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Give what is in the table; before that, the failures that are wanted."""
        self.asked[request.raw_path] += 1
        self.authorization.append(request.headers.get("authorization"))
        if self.failures:
            return web.Response(status=self.failures.pop(0))
        if request.raw_path not in self.answers:
            return web.json_response({"error_code": 40403, "message": "Schema not found"}, status=404)
        return web.json_response(self.answers[request.raw_path])


@pytest.fixture
async def server() -> AsyncIterator[StandInRegistry]:
    """Give a registry that knows nothing yet."""
    registry = StandInRegistry()
    async with web_server(web.get("/{path:.*}", registry.answer)) as address:
        registry.url = f"http://{address}"
        yield registry


@asynccontextmanager
async def client(server: StandInRegistry, **options: Any) -> AsyncIterator[SchemaRegistry]:
    """Give a client of the server."""
    async with SchemaRegistry(server.url, timeout_seconds=1.0, **options) as registry:
        yield registry


async def decoded(registry: SchemaRegistry, *values: bytes) -> list[Item]:
    """Return the items that records become."""
    items = [Item(StandInRecord(value)) for value in values]
    await decode(items, max_text_chars=1000, watch=Watchdog(60), registry=registry)
    return items


async def test_a_post_in_avro(server: StandInRegistry) -> None:
    """Ids, moments and bytes are read as what they are, and the schema is asked for once."""
    server.answers["/schemas/ids/1"] = {"schema": json.dumps(whole())}
    value = avro(whole(), SAID)
    async with client(server, username="key", password="secret") as registry:  # noqa: S106 - of no service
        items = await decoded(registry, value, value)
        items += await decoded(registry, value)
    for item in items:
        assert item.post is not None, item.rejection
        assert (item.post.id, item.post.text, item.post.author_id) == (str(POST_ID), "b", "9")
        assert item.post.created_at == NOON
        assert base64.b64decode(item.post.media[0].data or "") == b"abc"
    assert server.asked == {"/schemas/ids/1": 1}
    assert server.authorization == ["Basic " + base64.b64encode(b"key:secret").decode()]


async def test_a_schema_that_refers_to_others(server: StandInRegistry) -> None:
    """They are fetched by their subject, whatever characters it has."""
    reference = {"name": "social.Medium", "subject": "social/medium value", "version": 3}
    server.answers["/schemas/ids/1"] = {"schema": json.dumps(POST), "references": [reference]}
    server.answers["/subjects/social%2Fmedium%20value/versions/3"] = {"schema": json.dumps(MEDIUM)}
    async with client(server) as registry:
        (item,) = await decoded(registry, avro(whole(), SAID))
    assert item.post is not None, item.rejection
    assert item.text == "b"


async def test_a_change_event_in_avro(server: StandInRegistry) -> None:
    """The envelope is opened as it is in JSON; a deletion is passed over."""
    row = {"type": "record", "name": "Row", "fields": [{"name": name, "type": "string"} for name in ("id", "text")]}
    envelope = {
        "type": "record",
        "name": "Envelope",
        "fields": [
            {"name": "before", "type": ["null", row]},
            {"name": "after", "type": ["null", "Row"]},
            {"name": "op", "type": "string"},
        ],
    }
    server.answers["/schemas/ids/1"] = {"schema": json.dumps(envelope)}
    post = {"id": "a", "text": "b"}
    async with client(server) as registry:
        made, gone = await decoded(
            registry,
            avro(envelope, {"before": None, "after": post, "op": "c"}),
            avro(envelope, {"before": post, "after": None, "op": "d"}),
        )
    assert made.post is not None
    assert (made.post.id, made.text) == ("a", "b")
    assert gone.passed_over == "deletion"


async def test_json_needs_no_registry(server: StandInRegistry) -> None:
    """Behind a registry's header it is read as it stands."""
    async with client(server) as registry:
        plain, behind = await decoded(registry, b'{"id": "a", "text": "b"}', framed(7, b'{"id": "a", "text": "b"}'))
    assert plain.text == behind.text == "b"
    assert not server.asked


async def test_what_is_no_record_of_its_schema_is_dead_lettered(server: StandInRegistry) -> None:
    """And so is one whose schema nobody has; the neighbours are labelled."""
    server.answers["/schemas/ids/1"] = {"schema": json.dumps(whole())}
    server.answers["/schemas/ids/2"] = {"schema": "{", "schemaType": "AVRO"}
    server.answers["/schemas/ids/3"] = {"schema": "{}", "schemaType": "JSON"}
    good = avro(whole(), SAID)
    async with client(server) as registry:
        items = await decoded(
            registry, good[:20], good, framed(2, b"x"), framed(3, b"x"), framed(99, b"x"), b"\0\0\0\0\1", b"\0\0"
        )
    reasons = [item.rejection.reason if item.rejection is not None else "labelled" for item in items]
    assert reasons[:5] == ["not_of_schema", "labelled", "unsupported", "unsupported", "unknown_schema"]
    assert set(reasons[5:]) <= {"no_json", "not_of_schema"}


async def test_a_schema_that_is_not_there_is_asked_for_again_later(server: StandInRegistry) -> None:
    """It may have been registered a moment ago; until then the registry is left alone."""
    now = 0.0
    value = avro(whole(), SAID)
    async with client(server, clock=lambda: now) as registry:
        assert [(await decoded(registry, value))[0].rejection is None for _ in range(2)] == [False, False]
        assert server.asked["/schemas/ids/1"] == 1
        server.answers["/schemas/ids/1"] = {"schema": json.dumps(whole())}
        now = 60.0
        assert (await decoded(registry, value))[0].text == "b"


async def test_posts_wait_for_a_registry_in_trouble(server: StandInRegistry) -> None:
    """Nothing is refused meanwhile; a batch that is given up does not take the answer from the others."""
    server.answers["/schemas/ids/1"] = {"schema": json.dumps(whole())}
    server.failures = [503, 429, 500]
    value = avro(whole(), SAID)
    async with client(server) as registry:
        given_up = asyncio.create_task(decoded(registry, value))
        waiting = asyncio.create_task(decoded(registry, value))
        await asyncio.sleep(0.01)
        given_up.cancel()
        (item,) = await asyncio.wait_for(waiting, 10)
    assert item.text == "b"
    assert server.asked["/schemas/ids/1"] == 4


async def test_a_registry_that_is_not_there_is_waited_for() -> None:
    """For as long as it takes."""
    async with SchemaRegistry("http://127.0.0.1:9", timeout_seconds=0.1) as registry:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(decoded(registry, framed(1, b"x")), 1)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_log_in_that_is_refused_ends_the_process(server: StandInRegistry, status: int) -> None:
    """Nothing sensible can follow: the setting is wrong."""
    server.failures = [status]
    async with client(server) as registry:
        with pytest.raises(FatalError, match="log-in"):
            await decoded(registry, framed(1, b"x"))


def proto_file() -> descriptor_pb2.FileDescriptorProto:
    """Return a file with a type inside another: Outer.Post and its media, which stand in another file."""
    file = descriptor_pb2.FileDescriptorProto(
        name="post.proto", package="social", syntax="proto3",
        dependency=["google/protobuf/timestamp.proto", "medium.proto"],
    )  # fmt: skip
    file.message_type.add(name="Other")
    outer = file.message_type.add(name="Outer")
    post = outer.nested_type.add(name="Post")
    kinds = descriptor_pb2.FieldDescriptorProto
    one, many = kinds.LABEL_OPTIONAL, kinds.LABEL_REPEATED
    post.field.add(name="id", number=1, type=kinds.TYPE_INT64, label=one)
    post.field.add(name="text", number=2, type=kinds.TYPE_STRING, label=one)
    post.field.add(
        name="created_at", number=3, type=kinds.TYPE_MESSAGE, type_name=".google.protobuf.Timestamp", label=one
    )
    post.field.add(name="media", number=4, type=kinds.TYPE_MESSAGE, type_name=".social.Medium", label=many)
    return file


def medium_file() -> descriptor_pb2.FileDescriptorProto:
    """Return the file of media."""
    file = descriptor_pb2.FileDescriptorProto(name="medium.proto", package="social", syntax="proto3")
    medium = file.message_type.add(name="Medium")
    kinds = descriptor_pb2.FieldDescriptorProto
    medium.field.add(name="data", number=1, type=kinds.TYPE_BYTES, label=kinds.LABEL_OPTIONAL)
    return file


def proto_payload() -> bytes:
    """Return a post's message."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(medium_file())
    pool.Add(proto_file())
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("social.Outer.Post"))()
    message.id, message.text = 1017, "b"  # type: ignore[attr-defined]
    message.created_at.FromDatetime(NOON.replace(tzinfo=None))  # type: ignore[attr-defined]
    message.media.add().data = b"abc"  # type: ignore[attr-defined]
    return bytes(message.SerializeToString())


def serialised(file: descriptor_pb2.FileDescriptorProto) -> str:
    """Return a file as a registry gives it."""
    return base64.b64encode(file.SerializeToString()).decode()


async def test_a_post_in_protobuf(server: StandInRegistry) -> None:
    """By the descriptors that the registry gives: a type within another, an import, a moment, bytes."""
    server.answers["/schemas/ids/1"] = {"schema": "…", "schemaType": "PROTOBUF"}
    server.answers["/schemas/ids/1?format=serialized"] = {
        "schema": serialised(proto_file()),
        "schemaType": "PROTOBUF",
        "references": [{"name": "medium.proto", "subject": "medium", "version": 1}],
    }
    server.answers["/subjects/medium/versions/1?format=serialized"] = {"schema": serialised(medium_file())}
    async with client(server) as registry:
        # Two indexes, 1 and 0: the second type of the file, the first one in it.
        good, other, broken = await decoded(
            registry, framed(1, b"\4\2\0" + proto_payload()), framed(1, b"\0"), framed(1, b"\4\2\0\xff")
        )
    assert good.post is not None, good.rejection
    assert (good.post.id, good.text, good.post.created_at) == ("1017", "b", NOON)
    assert base64.b64decode(good.post.media[0].data or "") == b"abc"
    assert other.rejection is not None
    assert other.rejection.reason == "no_post"
    assert broken.rejection is not None
    assert broken.rejection.reason == "not_of_schema"


async def test_protobuf_source_is_named(server: StandInRegistry) -> None:
    """A registry that gives no descriptors cannot be used for it, and the dead letter says so."""
    server.answers["/schemas/ids/1"] = {"schema": 'syntax = "proto3";', "schemaType": "PROTOBUF"}
    server.answers["/schemas/ids/1?format=serialized"] = server.answers["/schemas/ids/1"]
    async with client(server) as registry:
        (item,) = await decoded(registry, framed(1, b"\0x"))
    assert item.rejection is not None
    assert "format=serialized" in str(item.rejection)


def test_random_bytes_are_records_or_none() -> None:
    """No payload makes a reader raise anything else."""
    chance = random.Random(5)
    readers = [
        (schema_of("AVRO", json.dumps(whole()), ()), avro(whole(), SAID)[5:]),
        (schema_of("PROTOBUF", serialised(medium_file()), ()), b"\0" + b"\n\3abc"),
    ]
    read = 0
    for _ in range(3000):
        reader, good = chance.choice(readers)
        payload = bytearray(good)
        for _ in range(chance.randint(0, 3)):
            payload[chance.randrange(len(payload))] = chance.randrange(256)
        try:
            reader.read(bytes(payload[: chance.randint(0, len(payload))]) if chance.random() < 0.3 else bytes(payload))
            read += 1
        except InvalidRecordError as error:
            assert error.reason == "not_of_schema"  # noqa: PT017
    assert read
