"""Peer: getsentry's Arroyo, its strategies for batches and for producing; at least once, which is what it promises."""

import functools
import signal
from collections.abc import Mapping, Sequence

import work
from arroyo.backends.kafka import KafkaConsumer, KafkaPayload, KafkaProducer
from arroyo.backends.kafka.configuration import build_kafka_configuration, build_kafka_consumer_configuration
from arroyo.processing import StreamProcessor
from arroyo.processing.strategies import (
    BatchStep,
    CommitOffsets,
    ProcessingStrategy,
    ProcessingStrategyFactory,
    RunTask,
)
from arroyo.types import Commit, Message, Partition, Topic

_label = work.make_labeller()


class LabelFactory(ProcessingStrategyFactory[KafkaPayload]):
    """Batches, labels, produced labels, committed offsets."""

    def __init__(self, producer: KafkaProducer) -> None:
        self._producer = producer

    def create_with_partitions(
        self, commit: Commit, partitions: Mapping[Partition, int]
    ) -> ProcessingStrategy[KafkaPayload]:
        """Return the chain of steps."""
        print("partitions assigned", dict(partitions), flush=True)
        step = RunTask(functools.partial(label, self._producer), CommitOffsets(commit))
        return BatchStep(work.BATCH, work.BATCH_SECONDS, step)


def label(producer: KafkaProducer, message: Message[Sequence]) -> None:
    """Label a batch, and wait until its labels are written."""
    posts = work.parse(one.payload.value for one in message.payload)
    futures = [
        producer.produce(Topic(topic), KafkaPayload(key, value, []))
        for key, labels in _label(posts)
        for topic, value in zip(work.LABELS, labels, strict=True)
    ]
    for future in futures:
        future.result()


def main() -> None:
    """Run until stopped."""
    servers = work.BROKER.split(",")
    session = {
        "session.timeout.ms": round(work.SESSION_SECONDS * 1000),
        "heartbeat.interval.ms": round(work.SESSION_SECONDS * 1000 / 6),
    }
    consumer = KafkaConsumer(
        build_kafka_consumer_configuration(session, work.GROUP, auto_offset_reset="earliest", bootstrap_servers=servers)
    )
    producer = KafkaProducer(build_kafka_configuration({}, bootstrap_servers=servers))
    processor = StreamProcessor(consumer, Topic(work.POSTS), LabelFactory(producer))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: processor.signal_shutdown())
    processor.run()
    producer.close().result()


if __name__ == "__main__":
    main()
