"""Where pictures are decoded: in confined children, or in threads of this process."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Protocol

from mmorient import Frame, Picture, decode_picture
from worker.labelling.sandbox.decoders import Sandbox, Terms, children_of
from worker.settings import Settings

if TYPE_CHECKING:
    from mmorient.input.ocr.drawn_text import DrawnText


class Decode(Protocol):
    """What `mmorient.decode_picture` does."""

    def __call__(
        self,
        data: bytes,
        *,
        max_pixels: int = ...,
        drawn_text: "DrawnText | None" = ...,
        read_text: bool = ...,
        frame: Frame = ...,
    ) -> Picture:
        """Return the picture; raise PictureError where there is none."""
        ...


async def open_decoder(stack: AsyncExitStack, settings: Settings, side: int) -> tuple[ThreadPoolExecutor, Decode]:
    """Return threads, and what decodes a picture in one of them; both are closed with `stack`.

    Args:
        stack: closes them.
        settings: the worker's.
        side: of the picture encoder's square, in pixels.
    """
    media = settings.media
    sandbox: Sandbox | None = None
    if media.sandbox:
        terms = Terms.of(
            memory_bytes=media.sandbox_memory_bytes,
            cpu_seconds=media.sandbox_seconds,
            watchdog_seconds=settings.guard.max_work_seconds,
        )
        children = children_of(media.decode_threads)
        sandbox = Sandbox(children=children, max_bytes=media.max_bytes, side=side, terms=terms)
        stack.callback(sandbox.close)
        sandbox = sandbox if await asyncio.to_thread(sandbox.start) else None
    threads = children_of(media.decode_threads) if sandbox is not None else media.decode_threads
    decoder = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    stack.callback(decoder.shutdown, wait=False, cancel_futures=True)
    return decoder, sandbox.decode_picture if sandbox is not None else decode_picture
