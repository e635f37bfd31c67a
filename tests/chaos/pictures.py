"""A host of pictures and the name server that knows it, both in this process; each can stop being of any use."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from io import BytesIO

from PIL import Image

from tests.worker.labelling.hostile import ChangingNameServer

NAME = "pictures.example"
PICTURES = 500
_TARPIT_SECONDS = 0.5


class SilentNameServer(ChangingNameServer):
    """A name server that may drop all that it is asked."""

    silent = False

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer, or do not."""
        if not self.silent:
            super().datagram_received(data, addr)


class PictureHost:
    """A web server with small pictures at `/0.png` and so on.

    Attributes:
        tarpit: Whether it sends no more than a byte each half second.
        port: Where it listens.
        name_server: host:port of who knows its name.
        names: The name server.
        asked: Requests.
    """

    def __init__(self) -> None:
        self.tarpit = False
        self.port = 0
        self.name_server = ""
        self.names = SilentNameServer({NAME: ["127.0.0.1"]}, ttl=1)
        self.asked = 0

    @property
    def url(self) -> str:
        """Where its pictures are."""
        return f"http://{NAME}:{self.port}"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests."""
        with suppress(OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.asked += 1
                picture = picture_of(int(head.split(b" ", 2)[1].strip(b"/").split(b".")[0]))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n")
                writer.write(b"Content-Length: %d\r\n\r\n" % len(picture))
                for byte in picture if self.tarpit else b"":
                    if not self.tarpit:
                        raise EOFError
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(_TARPIT_SECONDS)
                writer.write(picture)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def picture_host() -> AsyncIterator[PictureHost]:
    """Run one, and its name server."""
    host = PictureHost()
    server = await asyncio.start_server(host.answer, "127.0.0.1", 0)
    host.port = server.sockets[0].getsockname()[1]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: host.names, local_addr=("127.0.0.1", 0)
    )
    host.name_server = "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1])
    try:
        yield host
    finally:
        transport.close()
        server.close()


def picture_of(number: int) -> bytes:
    """Return the picture of a number."""
    chance = random.Random(f"picture/{number}")
    content = BytesIO()
    Image.frombytes("RGB", (4, 4), chance.randbytes(48)).resize((32, 32)).save(content, "PNG")
    return content.getvalue()
