"""How many transactions brokers commit: producers that do nothing else, on one broker and on three."""

import asyncio
import time
from pathlib import Path
from typing import Any

import psutil
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from worker.broker.transaction import GroupOffset, commit
from worker.commands.stack.stack import Stack
from worker.items import OutgoingRecord

_TOPIC, _GROUP = "transactions", "transactions"
_RECORDS, _VALUE = 3, b"0" * 560
_WARM = 40


async def rate(bootstrap: str, replicas: int, producers: int, seconds: float) -> tuple[float, int]:
    """Let so many producers commit three records and an offset at a time; return transactions a second, and how many.

    Args:
        bootstrap: addresses.
        replicas: copies of each record.
        producers: side by side, each with a partition of its own.
        seconds: how long.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(_TOPIC, producers, replicas)])
    await admin.close()
    made = [
        AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"transactions-{number}")
        for number in range(producers)
    ]
    for producer in made:
        await producer.start()
    end, done = 0.0, 0

    async def one(number: int, times: int | None = None) -> None:
        nonlocal done
        source, offset = TopicPartition(_TOPIC, number), 0
        records = [OutgoingRecord(_TOPIC, b"key", _VALUE, [])] * _RECORDS
        while offset < times if times is not None else time.perf_counter() < end:
            offset += 1
            moved = GroupOffset(_GROUP, source, offset, "{}")
            await commit(made[number], {number: records}, offset=moved, timeout_seconds=30)
            done += times is None

    try:
        await asyncio.gather(*(one(number, _WARM) for number in range(producers)))
        began = time.perf_counter()
        end = began + seconds
        await asyncio.gather(*map(one, range(producers)))
        return done / (time.perf_counter() - began), done
    finally:
        for producer in made:
            await producer.stop()


def measure(folder: Path, brokers: int, producers: int, seconds: float) -> dict[str, Any]:
    """Start so many brokers and return their transactions a second, and their processor time of each."""
    stack = Stack(folder, brokers=brokers)
    try:
        bootstrap = stack.brokers_up()
        processes = [psutil.Process(one.pid) for one in stack.brokers if one.pid]
        before = _used(processes)
        found, done = asyncio.run(rate(bootstrap, min(3, brokers), producers, seconds))
        used = _used(processes) - before
    finally:
        stack.down()
    return {
        "brokers": brokers,
        "producers": producers,
        "transactions_a_second": found,
        "broker_us": 1e6 * used / max(1, done),
    }


def _used(processes: list[psutil.Process]) -> float:
    return sum(one.cpu_times().user + one.cpu_times().system for one in processes)
