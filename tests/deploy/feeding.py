"""Posts into a topic: at a steady rate until told to stop, and with the age that a test wants."""

import asyncio
import itertools
import time
from collections.abc import Iterable, Sequence

from aiokafka import AIOKafkaProducer

from worker.commands.demo.samples import Sample


async def feed_for_ever(
    bootstrap_servers: str, topic: str, values: Iterable[bytes | None], partitions: int, rate: float
) -> None:
    """Write values round robin, again and again, so many a second, until cancelled."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, max_request_size=2**24)
    await producer.start()
    try:
        due = time.monotonic()
        for number, value in enumerate(itertools.cycle(values)):
            batch = producer.create_batch()
            # A record may have neither key nor value, which only whole batches can carry.
            batch.append(key=f"key-{number}".encode(), value=value, timestamp=None)
            await (await producer.send_batch(batch, topic, partition=number % partitions))
            due = max(due + 1 / rate, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
    finally:
        await producer.stop()


async def feed(
    bootstrap_servers: str, topic: str, values: Sequence[bytes], partitions: int, *, age_seconds: float = 0
) -> None:
    """Write values round robin, as if they had been written so long ago."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, max_request_size=2**24)
    await producer.start()
    try:
        written_ms = round((time.time() - age_seconds) * 1000)
        for number, value in enumerate(values):
            await producer.send(topic, value, partition=number % partitions, timestamp_ms=written_ms)
        await producer.flush()
    finally:
        await producer.stop()


def values_of(samples: Iterable[Sample]) -> list[bytes | None]:
    """Return the records' values."""
    return [sample.value for sample in samples]
