"""The stream on the page of `moderate serve`, until somebody interrupts."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from worker.commands.demo.worker_process import start_worker
from worker.commands.stack.ports import free_ports

Feed = Callable[[asyncio.Event], Coroutine[Any, Any, None]]

_READY_SECONDS = 180.0


async def show_page(console: Console, environment: Mapping[str, str], folder: Path, feed: Feed) -> None:
    """Start the page, say where it is, and feed posts again and again until Ctrl-C.

    Args:
        console: where people read.
        environment: MODERATE_… settings of the worker.
        folder: for the log.
        feed: writes all samples once, until the event is set.
    """
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    console.print("starting the page, which loads its model …")
    (port,) = free_ports(1)
    async with start_worker(environment, port=port, log_path=folder / "serve.log", command="serve") as server:
        ready = asyncio.create_task(server.wait_until_ready(_READY_SECONDS))
        waiting = asyncio.create_task(interrupted.wait())
        try:
            await asyncio.wait({ready, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                ready.result()
                console.print(f"the stream, as people see it: {server.address}/stream")
                console.print("Ctrl-C ends it")
                while not interrupted.is_set():
                    await feed(interrupted)
        finally:
            ready.cancel()
            waiting.cancel()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
