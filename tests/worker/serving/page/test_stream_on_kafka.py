"""The stream on the page over a real Kafka: committed labels, posts at their positions, verdicts on their topic."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewPartitions

from mmorient import PostReader
from schemas import Verdict
from tests.worker.patience import within
from tests.worker.serving.page.parts import ToldLabeller, browser_of, labels, page_of
from tests.worker.serving.page.test_stream import told
from tests.worker.system import Stream, administrator, post
from worker.broker.clients import KafkaLinks
from worker.serving.page.stream import reader
from worker.serving.page.stream.filters import Filter
from worker.serving.page.stream.hub import Hub
from worker.serving.page.stream.joining import Joiner
from worker.serving.page.stream.originals import Originals
from worker.serving.page.stream.reader import LabelReader
from worker.serving.page.verdicts import VerdictWriter
from worker.settings import KafkaSettings

TASKS = ("sentiment", "sarcasm")


async def label_posts(stream: Stream, offsets: list[int], *, partition: int = 0, commit: bool = True) -> None:
    """Write labels of posts of partition 0 in one transaction."""
    producer = AIOKafkaProducer(bootstrap_servers=stream.servers.kafka, transactional_id=f"{stream.name}-labels")
    await producer.start()
    try:
        await producer.begin_transaction()
        for offset in offsets:
            source = {"topic": stream.posts, "partition": 0, "offset": offset}
            for task, one in labels().items():
                value = json.dumps(one | {"source": source, "post_id": f"p-{offset}"}).encode()
                await producer.send(stream.label_topic(task), value, partition=partition)
        await (producer.commit_transaction() if commit else producer.abort_transaction())
    finally:
        await producer.stop()


def parts_of(stream: Stream) -> tuple[KafkaLinks, Hub, Originals]:
    """Return what the page reads the stream with."""
    links = KafkaLinks(stream.servers.kafka, stream.kafka_settings)
    hub = Hub(LabelReader(links, [stream.label_topic(task) for task in TASKS]), TASKS, a_turn=2, max_viewers=4)
    return links, hub, Originals(links, stream.posts, PostReader())


async def connected(hub: Hub) -> None:
    """Wait until the reader stands at the ends of its topics."""
    async with within(30):
        while not hub.is_connected:
            await asyncio.sleep(0.05)


async def test_committed_labels_are_shown_with_their_posts(stream: Stream) -> None:
    """What stood there before, and what was aborted, is not."""
    await stream.create_topics(1)
    await stream.feed([post(f"p-{number}", text=f"text {number}") for number in range(3)], 1)
    await label_posts(stream, [0])
    _, hub, originals = parts_of(stream)
    page = page_of(ToldLabeller(), hub=hub, originals=originals)
    async with hub.viewer(Filter()):
        await connected(hub)
        telling = asyncio.create_task(told(page, hub, seconds=6))
        await asyncio.sleep(0.2)
        await label_posts(stream, [1], commit=False)
        await label_posts(stream, [2])
        events = await telling
    await page.close()
    assert "text 2" in events
    assert "text 1" not in events
    assert "text 0" not in events
    assert hub.figures.posts == 1


async def test_added_partitions_are_read(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """From their beginnings: what stood there before anybody looked again is new."""
    monkeypatch.setattr(reader, "_LOOK_SECONDS", 0.3)
    await stream.create_topics(1)
    _, hub, _ = parts_of(stream)
    async with hub.viewer(Filter()) as viewer:
        await connected(hub)
        async with administrator(stream) as admin:
            await admin.create_partitions({stream.label_topic(task): NewPartitions(2) for task in TASKS})
            async with within(20):
                while not await stream.have_leaders(admin, [stream.label_topic(task) for task in TASKS], 2):
                    await asyncio.sleep(0.05)
        await label_posts(stream, [7], partition=1)
        async with within(20):
            while not (shown := viewer.take()):
                await asyncio.sleep(0.05)
    assert shown[0].position.offset == 7
    await hub.close()


async def test_what_comes_faster_than_it_is_read_is_passed_over(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And counted: a window shows what passes now."""
    monkeypatch.setattr(reader, "_MAX_BEHIND", 10)
    monkeypatch.setattr(reader, "_MAX_RECORDS", 1)
    await stream.create_topics(1)
    _, hub, _ = parts_of(stream)
    async with hub.viewer(Filter()) as viewer:
        await connected(hub)
        await label_posts(stream, list(range(40)))
        async with within(20):
            while not hub.passed_over:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        await label_posts(stream, [99])
        async with within(20):
            while 99 not in {post.position.offset for post in viewer.take()}:
                await asyncio.sleep(0.05)
    assert hub.figures.posts < 40
    await hub.close()


async def test_a_verdict_lands_on_its_topic(stream: Stream) -> None:
    """From those who may; what it says of the label is what the topic said, whatever a browser sends."""
    await stream.create_topics(1)
    await stream.feed([post("p-0", text="text")], 1)
    links, hub, originals = parts_of(stream)
    topic = f"{stream.name}.verdicts"
    page = page_of(
        ToldLabeller(), user_header="x-user", hub=hub, originals=originals,
        verdicts=VerdictWriter(links, topic, ["ana"]),
    )  # fmt: skip
    async with hub.viewer(Filter()) as viewer, browser_of(page) as client:
        await connected(hub)
        await label_posts(stream, [0])
        async with within(20):
            while not (shown := viewer.take()):
                await asyncio.sleep(0.05)
        hub.show(shown[0], None)
        position = str(shown[0].position)
        path, fields = "/page/stream/verdict", {"position": position, "task": "sarcasm", "says": "not_sarcastic"}
        for headers, status in (({}, 403), ({"x-user": "eve"}, 403)):
            assert (await client.post(path, data=fields, headers=headers)).status_code == status
        ana = {"x-user": "ana"}
        assert "Agree" in (await client.post("/page/stream/post", data=fields, headers=ana)).text
        noted = await client.post(path, data=fields | {"label": "x", "checkpoint": "y", "by": "eve"}, headers=ana)
        assert (noted.status_code, noted.text.strip()) == (200, "Noted: ana says not sarcastic.")
        for wrong, status in (
            ({"says": "hilarious"}, 409),
            ({"task": "humour"}, 409),
            ({"position": "posts[0]@9"}, 404),
        ):
            assert (await client.post(path, data=fields | wrong, headers=ana)).status_code == status
        assert (await client.post(path, data=fields | {"says": "sarcastic"}, headers=ana)).status_code == 200
    await page.close()
    first, second = (await stream.read(topic))[topic]
    assert first.key == position.encode()
    verdict = Verdict.model_validate_json(first.value)
    assert (verdict.verdict, verdict.says, verdict.label, verdict.probability) == (
        "disagree", "not_sarcastic", "sarcastic", 0.8688,
    )  # fmt: skip
    assert (verdict.by, verdict.post_id, verdict.post.topic, verdict.post.offset) == ("ana", "p-0", stream.posts, 0)
    assert Verdict.model_validate_json(second.value).verdict == "agree"


async def test_a_broker_that_is_gone_costs_the_page_nothing() -> None:
    """The view says so, and a verdict that nobody took is not noted."""
    links = KafkaLinks("127.0.0.1:1", KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    hub = Hub(LabelReader(links, ["labels.sarcasm"]), ("sarcasm",), a_turn=2, max_viewers=4)
    originals = Originals(links, "posts", PostReader())
    writer = VerdictWriter(links, "moderate.verdicts", ["ana"])
    page = page_of(ToldLabeller(), hub=hub, originals=originals, verdicts=writer, user_header="x-user")
    joiner = Joiner(("sarcasm",))
    source = {"topic": "posts", "partition": 0, "offset": 1}
    record = SimpleNamespace(timestamp=1, value=json.dumps(labels()["sarcasm"] | {"source": source}).encode())
    shown = joiner.add(record, 0)
    assert shown is not None
    hub.show(shown, None)
    async with browser_of(page) as client:
        fields = {"position": "posts[0]@1", "task": "sarcasm", "says": "sarcastic"}
        answer = await client.post("/page/stream/verdict", data=fields, headers={"x-user": "ana"})
        assert (answer.status_code, "Try again" in answer.text) == (409, True)
        assert (await client.post("/page/stream/reasons", data=fields)).status_code == 404
    events = await told(page, hub, seconds=2.5)
    assert "Not connected to the broker." in events
    await page.close()
