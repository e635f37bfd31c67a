"""One program, one load, one turn, on servers that all share."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench.cached import TEXTS, make_texts
from bench.cached import make_posts as make_cached_posts
from bench.peers.measuring import Course, Figures, Post, Program, measure
from bench.peers.peers import BATCH, DEVICE, Load, Where, peer
from bench.peers.showing import OURS
from bench.stream import make_posts as make_new_posts
from worker.commands.stack.ports import free_ports
from worker.commands.stack.stack import Stack

PARTITIONS = 16
_SESSION_SECONDS = 10.0
_LEADER_SECONDS = 60.0
_TASKS = ("sentiment", "sarcasm", "offensiveness")


def ours(where: Where, redis: str, load: Load) -> Program:
    """Return the worker, as it is shipped but for the batch that all have."""
    module = "bench.simulated_worker" if load == "device" else "worker"
    environment = {
        "MODERATE_KAFKA__BOOTSTRAP_SERVERS": where.kafka,
        "MODERATE_KAFKA__GROUP_ID": where.group,
        "MODERATE_KAFKA__POSTS_TOPIC": where.posts,
        "MODERATE_KAFKA__DEAD_LETTER_TOPIC": f"{where.posts}.dead-letter",
        "MODERATE_KAFKA__ROUTES": json.dumps(dict(zip(_TASKS, where.labels, strict=True))),
        "MODERATE_REDIS__URL": redis,
        "MODERATE_HTTP__PORT": str(free_ports(1)[0]),
        "MODERATE_LOG__FORMAT": "json",
        "SIMULATED_DEVICE": json.dumps(DEVICE),
    }
    if load == "device":
        environment["MODERATE_BATCH__MAX_POSTS"] = str(BATCH)
    return Program(OURS, (sys.executable, "-m", module, "run"), environment, b"lane_open")


def program(name: str, where: Where, redis: str, load: Load) -> Program:
    """Return a program by the name of its row."""
    if name == OURS:
        return ours(where, redis, load)
    one = peer(name)
    environment = one.environment(where, session_seconds=_SESSION_SECONDS, load=load)
    return Program(name, one.command(), environment, one.joined)


def posts_of(load: Load) -> Callable[[int], list[Post]]:
    """Return what gives posts: new ones each time, or a thousand texts in turns. No two have the same id."""
    runs = count()
    made = 0
    chance = os.urandom(3).hex()

    def make(number: int) -> list[Post]:
        nonlocal made
        run = next(runs)
        if load == "cached":
            values = [json.loads(value) for value in make_cached_posts(number, make_texts(TEXTS), first=made)]
            made += number
            named = [one | {"id": f"{chance}-{run}-{place}"} for place, one in enumerate(values)]
        else:
            values = [json.loads(value) for value in make_new_posts(number, 0.0, run=int(chance, 16) * 1000 + run)]
            named = values
        return [(one["id"].encode(), json.dumps(one).encode()) for one in named]

    return make


async def create_topics(where: Where, replicas: int) -> None:
    """Make the topics of one program, so many copies of each, and wait until every leader answers."""
    admin = AIOKafkaAdminClient(bootstrap_servers=where.kafka)
    await admin.start()
    names = (where.posts, f"{where.posts}.dead-letter", *where.labels)
    large = {"max.message.bytes": str(2**24 + 2**16)}
    await admin.create_topics([NewTopic(name, PARTITIONS, replicas, topic_configs=large) for name in names])
    await admin.close()
    # Some clients end where a leader that was named a moment ago does not answer yet; this one asks until it does.
    sources = [TopicPartition(name, number) for name in names for number in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(bootstrap_servers=where.kafka)
    await consumer.start()
    async with asyncio.timeout(_LEADER_SECONDS):
        await consumer.end_offsets(sources)
    await consumer.stop()


@dataclass(frozen=True)
class Servers:
    """Where the servers are, where logs go, and how many copies topics have."""

    kafka: str
    redis: str
    folder: Path
    replicas: int


async def turn(name: str, load: Load, servers: Servers, *, seconds: float, number: int) -> Figures:
    """Measure one program on topics of its own."""
    group = f"{load}-{name}-{number}"
    where = Where(servers.kafka, group, f"{group}.posts", tuple(f"{group}.labels.{task}" for task in _TASKS))
    await create_topics(where, servers.replicas)
    course = Course(servers.kafka, where.posts, where.labels[1], PARTITIONS, posts_of(load), seconds)
    return await measure(program(name, where, servers.redis, load), course, servers.folder / f"{group}.log")


@contextmanager
def own_servers(folder: Path, brokers: int = 1) -> Iterator[Servers]:
    """Give a fresh Kafka and a fresh Redis; topics have a copy on each broker, three at most."""
    stack = Stack(folder / "stack", brokers=brokers)
    try:
        stack.redis.up(lambda _: None)
        yield Servers(stack.brokers_up(), stack.redis.address or "", folder, min(3, brokers))
    finally:
        stack.down()
