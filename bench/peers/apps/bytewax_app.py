"""Peer: Bytewax, batches by `flat_map_batch`, its Kafka connectors.

It has no consumer group: partitions are divided among a fixed set of processes, here one. Offsets are kept by a
recovery store of its own, which is switched off, as it is by default.
"""

from collections.abc import Iterable

import bytewax.operators as op
import work
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.run import cli_main

_BROKERS = work.BROKER.split(",")
_label = work.make_labeller()


def label(messages: list[KafkaSourceMessage]) -> Iterable[work.Labelled]:
    """Return the labels of a batch."""
    return _label(work.parse(one.value for one in messages if isinstance(one, KafkaSourceMessage)))


def message(number: int, labelled: work.Labelled) -> KafkaSinkMessage:
    """Return one task's label as its sink takes it."""
    key, values = labelled
    return KafkaSinkMessage(key, values[number])


def make_flow() -> Dataflow:
    """Return the flow: posts, labels, a topic for each task."""
    flow = Dataflow("peer")
    posts = op.input("posts", flow, KafkaSource(_BROKERS, [work.POSTS], batch_size=work.BATCH))
    labelled = op.flat_map_batch("label", posts, label)
    for number, topic in enumerate(work.LABELS):
        made = op.map(f"task-{number}", labelled, lambda one, number=number: message(number, one))
        op.output(f"labels-{number}", made, KafkaSink(_BROKERS, topic))
    return flow


if __name__ == "__main__":
    # It reads from the beginning, so nothing is missed between this line and its first read.
    print("partitions assigned: all", flush=True)
    cli_main(make_flow())
