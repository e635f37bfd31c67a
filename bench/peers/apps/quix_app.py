"""Peer: Quix Streams with its exactly-once guarantee, a function over each message as its tutorials have it.

Quix gathers messages in windows of one key alone; posts have keys of their own, so the model is called post by post.
"""

import work
from quixstreams import Application

app = Application(
    broker_address=work.BROKER,
    consumer_group=work.GROUP,
    auto_offset_reset="earliest",
    processing_guarantee="exactly-once",
    state_dir=str(work.SCRATCH),
    consumer_extra_config={
        "session.timeout.ms": round(work.SESSION_SECONDS * 1000),
        "heartbeat.interval.ms": round(work.SESSION_SECONDS * 1000 / 6),
    },
    auto_create_topics=False,
)
_raw: dict[str, str] = {"key_serializer": "bytes", "value_serializer": "bytes"}
_label = work.make_labeller()


def label(value: bytes) -> tuple[bytes, ...]:
    """Return the labels of one post."""
    ((_, labels),) = _label(work.parse([value]))
    return labels


def main() -> None:
    """Run until stopped."""
    posts = app.topic(work.POSTS, key_deserializer="bytes", value_deserializer="bytes")
    labelled = app.dataframe(posts).apply(label)
    for number, name in enumerate(work.LABELS):
        labelled.apply(lambda labels, number=number: labels[number]).to_topic(app.topic(name, **_raw))
    app.run()


if __name__ == "__main__":
    main()
