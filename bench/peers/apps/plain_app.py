"""Peers: aiokafka's documented loop of consuming, producing and committing; at least once.

`authors`: the model as its authors run it, where the posts of a batch are each other's context.
`mosec`: the model behind a server (`mosec_server.py`), which puts requests into batches; each post is a request.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import work
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener

_HERE = Path(__file__).parent
_SERVER_SECONDS = 180.0

Label = Callable[[Sequence[work.Post]], Awaitable[list[work.Labelled]]]


class Announced(ConsumerRebalanceListener):
    """Says which partitions came."""

    async def on_partitions_revoked(self, revoked: object) -> None:
        """Say nothing."""

    async def on_partitions_assigned(self, assigned: object) -> None:
        """Say so in the log."""
        print("partitions assigned", assigned, flush=True)


async def authors(_: AsyncExitStack) -> Label:
    """Return a labeller in this process; the loop goes on while the model computes."""
    label = work.make_labeller()
    return lambda posts: asyncio.to_thread(label, posts)


async def served(stack: AsyncExitStack) -> Label:
    """Start the server and return what asks it, post by post, all posts of a batch at once."""
    import aiohttp

    port = os.environ["PEER_PORT"]
    server = await asyncio.create_subprocess_exec(
        sys.executable, str(_HERE / "mosec_server.py"), "--port", port, "--timeout", "60000", "--log-level", "error"
    )
    stack.callback(lambda: server.returncode is None and server.terminate())
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=work.BATCH)))
    address = f"http://127.0.0.1:{port}/inference"

    async def one(post: work.Post) -> work.Labelled:
        async with session.post(address, json=post) as answer:
            answer.raise_for_status()
            labels: list[str] = await answer.json(content_type=None)
        return post["id"].encode(), tuple(label.encode() for label in labels)

    async with asyncio.timeout(_SERVER_SECONDS):
        while True:
            try:
                await one({"id": "warm-up", "text": "warm-up"})
                break
            except aiohttp.ClientError:
                await asyncio.sleep(0.2)

    async def label(posts: Sequence[work.Post]) -> list[work.Labelled]:
        return list(await asyncio.gather(*map(one, posts)))

    return label


async def main(kind: Callable[[AsyncExitStack], Awaitable[Label]]) -> None:
    """Run until stopped."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        label = await kind(stack)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=work.BROKER,
            group_id=work.GROUP,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=round(work.SESSION_SECONDS * 1000),
            heartbeat_interval_ms=round(work.SESSION_SECONDS * 1000 / 6),
        )
        consumer.subscribe([work.POSTS], listener=Announced())
        producer = AIOKafkaProducer(bootstrap_servers=work.BROKER)
        for client in (producer, consumer):
            await client.start()
            stack.push_async_callback(client.stop)
        while not stopped.is_set():
            fetched = await consumer.getmany(timeout_ms=round(work.BATCH_SECONDS * 1000), max_records=work.BATCH)
            records = [record for some in fetched.values() for record in some]
            if not records:
                continue
            sent = [
                await producer.send(topic, value, key=key)
                for key, values in await label(work.parse(record.value for record in records))
                for topic, value in zip(work.LABELS, values, strict=True)
            ]
            await asyncio.gather(*sent)
            await consumer.commit()


if __name__ == "__main__":
    asyncio.run(main({"authors": authors, "mosec": served}[sys.argv[1]]))
