"""Control: the consume-transform-produce loop of aiokafka's documentation, one transactional producer a process.

`send_offsets_to_transaction` sends neither member nor generation, and another process has another transactional id:
nothing fences a worker that has lost its partitions. Stub labels, no model.
"""

import asyncio
import json
import os
import uuid

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener

TASKS = ("sentiment", "sarcasm", "offensiveness")


class _Announced(ConsumerRebalanceListener):  # type: ignore[misc]
    async def on_partitions_revoked(self, revoked: object) -> None:
        """Nothing to do: the offsets are in the transactions."""

    async def on_partitions_assigned(self, assigned: object) -> None:
        """Say so in the log."""
        print("partitions assigned", assigned, flush=True)


async def main() -> None:
    """Run until killed."""
    group, posts = os.environ["CONTROL_GROUP"], os.environ["CONTROL_POSTS"]
    labels = os.environ["CONTROL_LABELS"].split(",")
    session_ms = round(float(os.environ["CONTROL_SESSION_SECONDS"]) * 1000)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=os.environ["CONTROL_BROKER"],
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=session_ms // 6,
    )
    consumer.subscribe([posts], listener=_Announced())
    producer = AIOKafkaProducer(
        bootstrap_servers=os.environ["CONTROL_BROKER"],
        transactional_id=f"{group}-{uuid.uuid4()}",
        transaction_timeout_ms=round(float(os.environ["CONTROL_TRANSACTION_SECONDS"]) * 1000),
    )
    await consumer.start()
    await producer.start()
    try:
        while True:
            batch = await consumer.getmany(timeout_ms=200)
            if not batch:
                continue
            async with producer.transaction():
                for source, records in batch.items():
                    for record in records:
                        where = {"topic": source.topic, "partition": source.partition, "offset": record.offset}
                        for task, topic in zip(TASKS, labels, strict=True):
                            label = {"task": task, "post_id": json.loads(record.value)["id"], "source": where}
                            await producer.send(topic, json.dumps(label).encode(), key=record.key)
                offsets = {source: records[-1].offset + 1 for source, records in batch.items()}
                await producer.send_offsets_to_transaction(offsets, group)
    finally:
        await consumer.stop()
        await producer.stop()


if __name__ == "__main__":
    asyncio.run(main())
