"""A host whose pictures take as much memory as they can; a program, so that what it holds itself is counted nowhere.

`/bomb…` swells from a few kilobytes to 64 MB, `/full…` is as large as allowed, anything else never ends. It prints its
port.
"""

import asyncio
import sys
import zlib
from contextlib import suppress

MEGABYTE = 2**20
_HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
_CHUNK = bytes(64 * 1024)


def _bomb() -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(bytes(64 * MEGABYTE)) + packer.flush()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bomb: bytes) -> None:
    with suppress(OSError, EOFError):
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
        if path.startswith(b"/bomb"):
            writer.write(_HEAD + b"Content-Encoding: gzip\r\n\r\n" + bomb)
        else:
            writer.write(_HEAD + b"\r\n")
            left = MEGABYTE // len(_CHUNK) if path.startswith(b"/full") else sys.maxsize
            while left:
                writer.write(_CHUNK)
                await writer.drain()
                await asyncio.sleep(0.005)
                left -= 1
        await writer.drain()
    writer.close()


async def _serve() -> None:
    bomb = _bomb()
    server = await asyncio.start_server(lambda reader, writer: _answer(reader, writer, bomb), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
