"""What is broken, how, and how it is mended: one coroutine a kind of fault.

Each takes the site and its step, returns once the fault is over, and says whom it has hit.
"""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from signal import SIGCONT, SIGSTOP

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import KafkaError, for_code
from redis.exceptions import RedisError

from tests.chaos import redis_faults
from tests.chaos.plan import Step
from tests.chaos.site import JOIN_SECONDS, Site, named, paused, silent, taken
from tests.worker import absent_broker
from tests.worker.segments import damage_next_batch, flip
from worker.commands.stack.java import find_class_path, find_java
from worker.errors import FatalError

_ADDED_PARTITIONS = 2
# Below what the workers need: the broker holds their answers back until the mean is under the quota again.
_QUOTA_BYTES_A_SECOND = 16 * 1024
_QUOTA_KEYS = ("producer_byte_rate", "consumer_byte_rate")
_SICK_PARTITIONS = 3
# A member of the group that is stopped for longer would be given up.
_NEXT_BATCH_SECONDS = 2.0


async def _worker_kill(site: Site, step: Step) -> str:
    with taken(site, step) as slot:
        await site.fleet.kill(slot)
    return named(slot)


async def _worker_pause(site: Site, step: Step) -> str:
    with taken(site, step) as slot:
        slot.send(SIGSTOP)
        try:
            await asyncio.sleep(step.seconds)
        finally:
            slot.send(SIGCONT)
    return named(slot)


async def _worker_restart(site: Site, step: Step) -> str:
    with taken(site, step) as slot:
        await site.fleet.terminate(slot)
    return named(slot)


async def _scale_up(site: Site, step: Step) -> str:
    del step
    slot = site.fleet.add()
    joined = await site.fleet.joined(JOIN_SECONDS, [slot])
    return named(slot) if joined else f"{named(slot)}, not in the group after {JOIN_SECONDS:.0f} s"


async def _scale_down(site: Site, step: Step) -> str:
    with taken(site, step) as slot:
        await site.fleet.terminate(slot, for_good=True)
    return named(slot)


async def _broker_kill(site: Site, step: Step) -> str:
    del step
    await asyncio.to_thread(site.stack.kafka.kill)
    await asyncio.to_thread(site.stack.kafka.up, silent)
    return "broker"


async def _broker_restart(site: Site, step: Step) -> str:
    await asyncio.to_thread(site.stack.kafka.stop)
    await asyncio.sleep(step.seconds)
    await asyncio.to_thread(site.stack.kafka.up, silent)
    return "broker"


async def _broker_pause(site: Site, step: Step) -> str:
    await paused(site.stack.kafka, step.seconds)
    return "broker"


async def _quota(site: Site, step: Step) -> str:
    limits = ",".join(f"{key}={_QUOTA_BYTES_A_SECOND}" for key in _QUOTA_KEYS)
    await asyncio.to_thread(_configure_clients, site.kafka, "--add-config", limits)
    try:
        await asyncio.sleep(step.seconds)
    finally:
        await asyncio.to_thread(_configure_clients, site.kafka, "--delete-config", ",".join(_QUOTA_KEYS))
    return f"all clients, {_QUOTA_BYTES_A_SECOND // 1024} KiB/s each way"


async def _partitions_added(site: Site, step: Step) -> str:
    del step
    wanted = site.feed.partitions + _ADDED_PARTITIONS
    admin = AIOKafkaAdminClient(bootstrap_servers=site.kafka)
    await admin.start()
    try:
        for topics in (site.outputs, site.inputs):
            answer = await admin.create_partitions({topic: NewPartitions(total_count=wanted) for topic in topics})
            for topic, code, *_ in answer.topic_errors:
                if code:
                    raise for_code(code)(topic)
    finally:
        await admin.close()
    site.feed.grow(wanted)
    return f"{wanted - _ADDED_PARTITIONS} -> {wanted}"


async def _labels_under_min_isr(site: Site, step: Step) -> str:
    topic = site.outputs[step.pick % (len(site.outputs) - 1)]
    first = step.pick % site.feed.partitions
    sick = sorted({(first + number) % site.feed.partitions for number in range(_SICK_PARTITIONS)})
    await absent_broker.starve(site.kafka, topic, sick)
    try:
        await asyncio.sleep(step.seconds)
    finally:
        await absent_broker.mend(site.kafka, topic, sick)
    return f"{topic.rpartition('.')[2]} {sick}"


async def _damaged_batch(site: Site, step: Step) -> str:
    partition = step.pick % site.feed.partitions
    path = site.stack.kafka.folder / "kafka-data" / f"{site.inputs[0]}-{partition}" / "00000000000000000000.log"
    # Nobody reads the batch before it is damaged.
    stopped = [slot for slot in site.fleet.slots if slot.running]
    for slot in stopped:
        slot.send(SIGSTOP)
    try:
        place = await asyncio.to_thread(damage_next_batch, path, _NEXT_BATCH_SECONDS)
    finally:
        for slot in stopped:
            slot.send(SIGCONT)
    try:
        await asyncio.sleep(step.seconds)
        met = any(b"partition_unreadable" in slot.new_log() for slot in site.fleet.slots if slot.running)
    finally:
        await asyncio.to_thread(flip, path, place)
    return f"{site.inputs[0].rpartition('.')[2]}[{partition}]{'' if met else ', which nobody read meanwhile'}"


async def _picture_tarpit(site: Site, step: Step) -> str:
    before, site.pictures.tarpit = site.pictures.asked, True
    try:
        await asyncio.sleep(step.seconds)
    finally:
        site.pictures.tarpit = False
    return f"{site.pictures.asked - before} requests"


async def _dns_blackhole(site: Site, step: Step) -> str:
    site.pictures.names.silent = True
    try:
        await asyncio.sleep(step.seconds)
    finally:
        site.pictures.names.silent = False
    return "name server"


INJECTIONS: dict[str, Callable[[Site, Step], Awaitable[str]]] = {
    "worker-kill": _worker_kill,
    "worker-pause": _worker_pause,
    "worker-restart": _worker_restart,
    "scale-up": _scale_up,
    "scale-down": _scale_down,
    "broker-kill": _broker_kill,
    "broker-restart": _broker_restart,
    "broker-pause": _broker_pause,
    "quota": _quota,
    "partitions-added": _partitions_added,
    "labels-under-min-isr": _labels_under_min_isr,
    "damaged-batch": _damaged_batch,
    "redis-kill": redis_faults.redis_kill,
    "redis-pause": redis_faults.redis_pause,
    "redis-out-of-memory": redis_faults.redis_out_of_memory,
    "redis-evicting": redis_faults.redis_evicting,
    "redis-garbage": redis_faults.redis_garbage,
    "redis-away-at-start": redis_faults.redis_away_at_start,
    "picture-tarpit": _picture_tarpit,
    "dns-blackhole": _dns_blackhole,
}
# What an injection may fail with: then the fault is reported as not injected.
INJECTION_ERRORS = (KafkaError, RedisError, FatalError, LookupError, OSError, subprocess.SubprocessError)


def _configure_clients(bootstrap_servers: str, *change: str) -> None:
    java = [find_java(), "-XX:TieredStopAtLevel=1", "-cp", find_class_path(silent), "kafka.admin.ConfigCommand"]
    entity = ["--entity-type", "clients", "--entity-default"]
    subprocess.run(
        [*java, "--bootstrap-server", bootstrap_servers, "--alter", *change, *entity],
        check=True,
        capture_output=True,
        timeout=60,
    )
