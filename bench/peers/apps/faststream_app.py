"""Peer: FastStream, a subscriber of batches over aiokafka or confluent, acknowledged once it is done: at least once."""

import asyncio
import logging
import sys
from typing import Any

import work
from faststream import AckPolicy, FastStream

CLIENT = sys.argv[1]
_label = work.make_labeller()
_session = {
    "session_timeout_ms": round(work.SESSION_SECONDS * 1000),
    "heartbeat_interval_ms": round(work.SESSION_SECONDS * 1000 / 6),
}

if CLIENT == "aiokafka":
    from aiokafka.abc import ConsumerRebalanceListener
    from faststream.kafka import KafkaBroker, KafkaPublishMessage

    class _Announced(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked: object) -> None:
            """Say nothing."""

        def on_partitions_assigned(self, assigned: object) -> None:
            print("partitions assigned", assigned, flush=True)

    # The labels of a batch are more than its 16 KiB, and a batch that is too large is refused.
    broker = KafkaBroker(work.BROKER.split(","), log_level=logging.DEBUG, max_batch_size=2**20)
    _client = {"batch_timeout_ms": round(work.BATCH_SECONDS * 1000), "listener": _Announced()}
else:
    from faststream.confluent import KafkaBroker, KafkaPublishMessage

    def _announce(_: object, assigned: object) -> None:
        print("partitions assigned", assigned, flush=True)

    broker = KafkaBroker(",".join(work.BROKER.split(",")), log_level=logging.DEBUG)
    _client = {"polling_interval": work.BATCH_SECONDS, "on_assign": _announce}

app = FastStream(broker)


@broker.subscriber(
    work.POSTS,
    group_id=work.GROUP,
    batch=True,
    max_records=work.BATCH,
    auto_offset_reset="earliest",
    ack_policy=AckPolicy.NACK_ON_ERROR,
    **_session,
    **_client,
)
async def label(posts: list[dict[str, Any]]) -> None:
    """Label a batch, which FastStream has parsed; the loop goes on while the model computes."""
    labelled = await asyncio.to_thread(_label, posts)
    for number, topic in enumerate(work.LABELS):
        messages = [KafkaPublishMessage(values[number], key=key) for key, values in labelled]
        await broker.publish_batch(*messages, topic=topic)


if __name__ == "__main__":
    asyncio.run(app.run())
