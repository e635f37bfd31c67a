"""Control: a Faust agent that reads with `take` and sends what it made, at least once as Faust has it by default."""

import json
import os
import tempfile
from typing import Any

import faust

TASKS = ("sentiment", "sarcasm", "offensiveness")
_SESSION_SECONDS = float(os.environ["CONTROL_SESSION_SECONDS"])

app = faust.App(
    os.environ["CONTROL_GROUP"],
    broker=f"kafka://{os.environ['CONTROL_BROKER']}",
    datadir=tempfile.mkdtemp(prefix="control-"),
    web_enabled=False,
    broker_session_timeout=_SESSION_SECONDS,
    broker_heartbeat_interval=_SESSION_SECONDS / 6,
    consumer_auto_offset_reset="earliest",
    topic_disable_leader=True,
    value_serializer="raw",
    key_serializer="raw",
)
_posts = app.topic(os.environ["CONTROL_POSTS"], value_type=bytes, key_type=bytes)
_labels = [app.topic(name, value_type=bytes, key_type=bytes) for name in os.environ["CONTROL_LABELS"].split(",")]


@app.agent(_posts)
async def label(posts: Any) -> None:
    """Label posts a hundred at a time."""
    async for batch in posts.take(100, within=0.2):
        for value in batch:
            identifier = json.loads(value)["id"]
            for task, topic in zip(TASKS, _labels, strict=True):
                stub = {"task": task, "post_id": identifier}
                await topic.send(key=identifier.encode(), value=json.dumps(stub).encode())


@app.on_partitions_assigned.connect
async def _announce(sender: object, assigned: object, **_: object) -> None:
    del sender
    print("partitions assigned", assigned, flush=True)


if __name__ == "__main__":
    app.main()
