"""The host of pictures that chaos posts link to, its name server, and damage to a segment, without a run."""

import asyncio
import struct
import threading
import time
from pathlib import Path

import dns.asyncresolver
import pytest

from tests.chaos.pictures import PictureHost, picture_host, picture_of
from tests.worker.segments import byte_of, damage_next_batch, flip
from worker.hosts import HostList
from worker.labelling.fetch import HttpFetcher
from worker.labelling.fetching.names import DnsLookup
from worker.labelling.fetching.policy import AddressPolicy
from worker.labelling.media import MediumError

SECONDS = 3.0


def fetcher(host: PictureHost) -> HttpFetcher:
    """Return a real fetcher that asks the host's own name server."""
    resolver = dns.asyncresolver.Resolver(configure=False)
    address, _, port = host.name_server.rpartition(":")
    resolver.nameservers, resolver.port = [address], int(port)
    return HttpFetcher(
        max_bytes=100_000,
        max_redirects=0,
        timeout_seconds=SECONDS,
        max_parallel=4,
        policy=AddressPolicy(private=HostList(["127.0.0.0/8"])),
        lookup=DnsLookup(resolver, 0.5),
    )


async def reason(fetch: HttpFetcher, url: str) -> str:
    """Return why a picture could not be had."""
    with pytest.raises(MediumError) as caught:
        await fetch.fetch(url)
    return caught.value.reason


@pytest.mark.slow
async def test_the_host_gives_pictures_and_can_stop_being_of_any_use() -> None:
    """As a tarpit it lets each fetch run out of time; without its name server nobody finds it; mended, all is well."""
    async with picture_host() as host, fetcher(host) as fetch:
        assert await fetch.fetch(f"{host.url}/7.png") == picture_of(7) != picture_of(8)
        host.tarpit = True
        assert await reason(fetch, f"{host.url}/8.png") == "fetch_timeout"
        host.tarpit = False
        assert await fetch.fetch(f"{host.url}/8.png") == picture_of(8)
        host.names.silent = True
        # Longer than the answer holds, and than a connection is kept.
        await asyncio.sleep(5.5)
        assert await reason(fetch, f"{host.url}/9.png") == "fetch_failed"
        host.names.silent = False
        await asyncio.sleep(1.1)
        assert await fetch.fetch(f"{host.url}/9.png") == picture_of(9)


def batch(first: int, records: int) -> bytes:
    """Return what has a batch's length and offsets, and nothing else of one."""
    rest = bytes(11) + struct.pack(">i", records - 1) + bytes(40)
    return struct.pack(">qi", first, len(rest)) + rest


def test_the_next_batch_is_damaged_and_mended(tmp_path: Path) -> None:
    """It waits for one that was not there before, and changes its last byte."""
    folder = tmp_path / "posts-3"
    folder.mkdir()
    path = folder / "00000000000000000000.log"
    path.write_bytes(batch(0, 5))

    def append() -> None:
        time.sleep(0.5)
        with path.open("ab") as file:
            file.write(batch(5, 2))

    writing = threading.Thread(target=append)
    writing.start()
    place = damage_next_batch(path, 20)
    writing.join()
    assert place == byte_of(path, 5) == byte_of(path, 6) != byte_of(path, 4)
    damaged = path.read_bytes()
    flip(path, place)
    assert path.read_bytes() == batch(0, 5) + batch(5, 2) != damaged
    with pytest.raises(LookupError):
        damage_next_batch(path, 0.4)
