"""How fast this machine labels: a sample goes through the stages, and nothing is written but to the cache."""

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from worker.items import Item, Record
from worker.labelling.stages import Stages, load_moderator, open_cache
from worker.settings import Settings
from worker.telemetry.metrics import total
from worker.watchdog import Watchdog

_MAX_SECONDS = 20.0
_BATCH_POSTS = 64


async def measured_speed(
    settings: Settings, records: Sequence[Record], *, device_share: float
) -> tuple[float, float | None]:
    """Label records for some seconds; return posts a second, and the share of embeddings that the cache had.

    Args:
        settings: of the worker.
        records: the sample; not all of it, where that takes too long.
        device_share: part of the time in which the model may compute.
    """
    async with AsyncExitStack() as stack:
        cache = await open_cache(stack, settings.redis)
        moderator = await load_moderator(settings)
        stages = await Stages.build(
            stack, settings, moderator, cache, Watchdog(float("inf")), device_share=device_share
        )
        await stages.warm_up()
        started = time.perf_counter()
        done = 0
        while done < len(records) and time.perf_counter() - started < _MAX_SECONDS:
            batch = records[done : done + _BATCH_POSTS]
            await stages.run([Item(record) for record in batch])
            done += len(batch)
        speed = done / (time.perf_counter() - started)
    hits, misses = (total("moderate_cache_lookups_total", result=result) for result in ("hit", "miss"))
    return speed, hits / (hits + misses) if hits + misses else None
