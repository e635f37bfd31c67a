"""A member of the group without a model: real lanes on a real broker, whose labels are one byte each."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

from tests.worker.system import TASKS, Stream
from worker.broker.clients import KafkaLinks
from worker.broker.group_members import new_incarnation
from worker.broker.output_topics import Outputs
from worker.errors import LaneError
from worker.intake.claim import LaneTerms
from worker.intake.commit_gate import CommitGate
from worker.intake.consume import ConsumeStage
from worker.intake.journal import Care
from worker.intake.lane import Accepted
from worker.intake.lanes import Lanes
from worker.intake.room import Room
from worker.items import Claim, Item, OutgoingRecord

_SLICE = 1000


class Member:
    """Takes its part in a stream's group within the block.

    Args:
        stream: the topics.
        settings: of Kafka, besides those of the stream.
    """

    def __init__(self, stream: Stream, **settings: Any) -> None:
        self._kafka = stream.kafka_settings.model_copy(
            update={"session_timeout_seconds": 6.0, "heartbeat_interval_seconds": 0.5, **settings}
        )
        self._topics = [stream.label_topic(task) for task in TASKS]
        self._stack = AsyncExitStack()
        self._room = Room(10**7)
        self._gate = CommitGate(self._settle)
        self._steps: set[asyncio.Task[None]] = set()
        self.fatal: list[BaseException] = []
        self.lanes: Lanes

    async def __aenter__(self) -> "Member":
        links = KafkaLinks(self._kafka.bootstrap_servers or "", self._kafka)
        worker = new_incarnation()
        admin = await self._stack.enter_async_context(links.connected_admin())
        outputs = Outputs(admin, self._kafka)
        await outputs.check()
        consumer = links.consumer(worker)
        terms = LaneTerms(
            group_id=self._kafka.group_id,
            worker=worker,
            timeout_seconds=self._kafka.transaction_timeout_seconds,
            window=512,
            room=self._room,
        )
        self.lanes = Lanes(
            links,
            terms,
            consumer=consumer,
            admin=admin,
            on_fatal=self.fatal.append,
            outputs_ready=outputs.ready,
            broker_answers=lambda: True,
            why_refused=outputs.why_refused,
        )
        consumer.subscribe([self._kafka.posts_topic], listener=self.lanes)
        self._stack.push_async_callback(consumer.stop)
        self._stack.push_async_callback(self.lanes.close)
        await consumer.start()
        consume = ConsumeStage(consumer, self.lanes, max_posts=100, records_gone="continue")
        for work in (self._gate.run(), self._take(consume)):
            task = asyncio.create_task(work)
            self._stack.push_async_callback(_end, task)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _take(self, consume: ConsumeStage) -> None:
        while True:
            for one in await consume.next_records(max_bytes=10**6, even_if_larger=True):
                step = asyncio.create_task(self._label(one))
                self._steps.add(step)
                step.add_done_callback(self._steps.discard)

    async def _label(self, one: Accepted) -> None:
        with suppress(LaneError):
            one.lane.touch(one.items)
            if one.care is not Care.NONE:
                await one.lane.name(one)
            one.lane.finish(one.items)
            self._gate.ready(one.lane)

    async def _settle(self, lane: Claim) -> None:
        items = lane.head(_SLICE)
        with suppress(LaneError):
            await lane.settle(items, self._labels(items))

    def _labels(self, items: Sequence[Item]) -> list[OutgoingRecord]:
        return [
            OutgoingRecord(topic, str(item.record.offset).encode(), b"x", ())
            for item in items
            for topic in self._topics
        ]


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
