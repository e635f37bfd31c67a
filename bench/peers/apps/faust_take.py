"""Peer: a Faust agent that takes batches, as the guide on agents has it; at least once, which is Faust's default."""

import asyncio
from typing import Any

import faust
import work

app = faust.App(
    work.GROUP,
    broker=";".join(f"kafka://{one}" for one in work.BROKER.split(",")),
    datadir=str(work.SCRATCH),
    web_enabled=False,
    broker_session_timeout=work.SESSION_SECONDS,
    broker_heartbeat_interval=work.SESSION_SECONDS / 6,
    consumer_auto_offset_reset="earliest",
    topic_disable_leader=True,
    value_serializer="raw",
    key_serializer="raw",
    # More than a batch, or the agent would never see a full one.
    stream_buffer_maxsize=4 * work.BATCH,
)
_posts = app.topic(work.POSTS, value_type=bytes, key_type=bytes)
_labels = [app.topic(name, value_type=bytes, key_type=bytes) for name in work.LABELS]
_label = work.make_labeller()


@app.agent(_posts)
async def label(posts: Any) -> None:
    """Label a batch at a time; the loop goes on while the model computes."""
    async for batch in posts.take(work.BATCH, within=work.BATCH_SECONDS):
        for key, values in await asyncio.to_thread(_label, work.parse(batch)):
            for topic, value in zip(_labels, values, strict=True):
                await topic.send(key=key, value=value)


@app.on_partitions_assigned.connect
async def _announce(sender: object, assigned: object, **_: object) -> None:
    del sender
    print("partitions assigned", assigned, flush=True)


if __name__ == "__main__":
    app.main()
