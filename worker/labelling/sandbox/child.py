"""A decoder: `python -m worker.labelling.sandbox.child`, started by `decoders` alone.

It imports no torch and none of the worker. Once its modules are loaded it gives its rights up, and only then reads the
first byte of a stranger.
"""

from __future__ import annotations

import io
import mmap
import os
import socket
import sys

import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin, Image

from mmorient import Frame, PictureError
from mmorient.input import pictures
from worker.labelling.sandbox.confinement import confine, die_with_parent
from worker.labelling.sandbox.message import (
    OUT_OF_MEMORY,
    REQUEST_BYTES,
    Answer,
    Layout,
    Request,
    packed_measures,
)

# What decoders load when they are first used must be here before files can no longer be opened.
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "ICO", "JPEG2000")
_SIDE = 32


def main() -> None:
    """Decode what the parent sends until it closes its end.

    Arguments: the descriptors of the socket and of the memory, the bytes that a file may have, the side of a square,
    the bytes that decoding may take, and 1 where system calls are filtered.
    """
    die_with_parent()
    talk, memory, max_bytes, side, memory_bytes, filtered = map(int, sys.argv[1:])
    layout = Layout(max_bytes, side)
    with socket.socket(fileno=talk) as parent, mmap.mmap(memory, layout.bytes) as shared:
        _load_decoders(side)
        # From here on what a library prints would be a stranger's words.
        os.dup2(1, 2)
        had = confine(memory_bytes, filtered=bool(filtered))
        _check_decoders(side)
        parent.sendall(packed_measures(had))
        try:
            _serve(parent, shared, layout)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)


def _serve(parent: socket.socket, shared: mmap.mmap, layout: Layout) -> None:
    while len(said := parent.recv(REQUEST_BYTES, socket.MSG_WAITALL)) == REQUEST_BYTES:
        request = Request.unpacked(said)
        try:
            frames = pictures.decode_frames(
                shared[: request.length],
                max_pixels=request.max_pixels,
                legible=request.legible,
                frame=Frame(request.side, request.centre),
            )
        except PictureError as error:
            answer = Answer(code=error.code)
        else:
            for index, pixels in enumerate(frames.squares):
                _put(shared, layout.square(index), pixels)
            for index, pixels in enumerate(frames.legible):
                _put(shared, layout.legible(index), pixels)
            shapes = tuple((pixels.shape[0], pixels.shape[1]) for pixels in frames.legible)
            answer = Answer(None, len(frames.squares), frames.width, frames.height, shapes)
            del frames
        parent.sendall(answer.packed())


def _put(shared: mmap.mmap, place: int, pixels: NDArray[np.uint8]) -> None:
    shared[place : place + pixels.nbytes] = pixels.tobytes()


def _load_decoders(side: int) -> None:
    # One thread a picture: the children are as many as the machine has room for.
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    try:
        import pillow_heif
    except ImportError:
        pass
    else:
        pillow_heif.options.DECODE_THREADS = 1
    for kind in _FORMATS:
        _decode_sample(kind, side)


def _check_decoders(side: int) -> None:
    """Fail now where the confinement is too tight for what it is to hold."""
    for kind in ("PNG", "JPEG", "WEBP"):
        _decode_sample(kind, side)


def _decode_sample(kind: str, side: int) -> None:
    content = io.BytesIO()
    try:
        Image.new("RGB", (_SIDE, _SIDE), "white").save(content, kind)
    except (OSError, KeyError, ValueError):
        # A Pillow that was built without this format does not decode it either.
        return
    try:
        pictures.decode_frames(content.getvalue(), max_pixels=_SIDE**2 * 100, legible=False, frame=Frame(side))
    except PictureError:
        return


if __name__ == "__main__":
    main()
