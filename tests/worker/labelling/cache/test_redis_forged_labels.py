"""Whoever may write to Redis, but has not the secret, changes no label."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mmorient import Moderator
from tests.worker.moderators import label
from tests.worker.records import item_of
from tests.worker.redis_servers import address_of, cache_at, client_of
from worker.commands.stack.server import Server
from worker.items import Item
from worker.labelling.cache.entries import UNSEALED, Entry, Mac, pack
from worker.labelling.cache.redis_cache import NoCache


async def test_a_writer_to_redis_changes_no_label(
    redis: Server, failures: Counter[str], threads: ThreadPoolExecutor
) -> None:
    """All entries are replaced by one of the writer's: without a seal labels follow it, with one none does."""
    moderator = Moderator.from_checkpoint()
    width = moderator.text_width

    def items() -> list[Item]:
        return [item_of(number, text=f"a kind word, number {number}") for number in range(24)]

    async def labels(cache: object) -> list[object]:
        posts = items()
        await label(posts, moderator, cache, threads)  # type: ignore[arg-type]
        return [item.labels for item in posts]

    expected = await labels(NoCache())
    for seal in (UNSEALED, Mac("correct horse battery")):
        with client_of(redis) as writer:
            writer.flushall()
            async with cache_at(address_of(redis), failures, seal=seal) as cache:
                assert await labels(cache) == expected
                keys = list(writer.scan_iter())
                assert len(keys) == 24
                for key in keys:
                    writer.set(key, pack(key, Entry(np.linspace(-1, 1, width).astype(np.float16))))
                failures.clear()
                changed = sum(one != other for one, other in zip(await labels(cache), expected, strict=True))
        if seal is UNSEALED:
            assert changed == 24, "without a seal the writer chooses: the test would see it"
        else:
            assert changed == 0
            assert failures == {"forged": 24}
