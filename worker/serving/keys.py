"""API keys: a file of their digests, compared in constant time, and how fast each may ask.

A line is `NAME sha256:DIGEST`, and behind it, where a key has a limit of its own, posts a second. A key is 256 random
bits: a plain digest of it tells nobody what it is, and no slow one would tell them less.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog

from worker.errors import SettingsError

log = structlog.get_logger(__name__)

_LINE = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,64})\s+sha256:(?P<digest>[0-9a-f]{64})(?:\s+(?P<rate>[0-9.]+))?")
_MOST_BYTES = 1024 * 1024
_LOOK_SECONDS = 5.0
_KEY_BYTES = 32
# A key may use at once what its rate allows in this time.
_BURST_SECONDS = 1.0


class Caller:
    """Who asks, and how fast they may.

    Args:
        name: of the key; nobody's for those without one.
        max_posts_per_second: None for no limit.
        clock: monotonic seconds.
    """

    def __init__(
        self, name: str, max_posts_per_second: float | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.rate = max_posts_per_second
        self._clock = clock
        self._left = self._most
        self._at = clock()

    @property
    def wait_seconds(self) -> float:
        """Seconds until the next request is allowed; 0 for now."""
        self._refill()
        return 0.0 if self.rate is None or self._left > 0 else (1 - self._left) / self.rate

    def took(self, posts: int) -> None:
        """Take posts off what is allowed: those of one request may be more, and are waited for afterwards."""
        if self.rate is not None:
            self._refill()
            self._left -= posts

    @property
    def _most(self) -> float:
        return max(1.0, (self.rate or 0.0) * _BURST_SECONDS)

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at) * (self.rate or 0.0))
        self._at = now


class Keys:
    """The keys of a file; without a file everybody is one caller.

    Args:
        file: of the digests.
        max_posts_per_second: of a key whose line says nothing else.

    Raises:
        SettingsError: the file cannot be read.
    """

    def __init__(self, file: Path | None, *, max_posts_per_second: float | None = None) -> None:
        self._file = file
        self._rate = max_posts_per_second
        self._everybody = Caller("anyone", max_posts_per_second)
        self._callers: dict[bytes, Caller] = {}
        self._content = b""
        if file is not None:
            self._content = _read(file)
            self._callers = dict(_callers(self._content, file, max_posts_per_second))

    @property
    def are_asked(self) -> bool:
        """Whether a key is needed."""
        return self._file is not None

    def __len__(self) -> int:
        return len(self._callers)

    def caller(self, key: str | None) -> Caller | None:
        """Return who has a key; None where nobody has it."""
        if self._file is None:
            return self._everybody
        given = hashlib.sha256((key or "").encode("utf-8", "surrogateescape")).digest()
        found: Caller | None = None
        # All are compared, so that the time tells nothing.
        for digest, caller in self._callers.items():
            if hmac.compare_digest(digest, given):
                found = caller
        return found

    async def follow(self) -> None:
        """Read the file again whenever it has changed, for ever; one that cannot be read changes nothing."""
        if self._file is None:
            return
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Read the file again if it has changed."""
        file = self._file
        if file is None:
            return
        try:
            content = await asyncio.to_thread(_read, file)
            if content == self._content:
                return
            fresh = dict(_callers(content, file, self._rate))
        except SettingsError as error:
            log.warning("keys_unreadable", error=str(error), consequence="the keys read before still hold")
            return
        self._content = content
        # Who is known keeps what they have used.
        known = {(digest, caller.name, caller.rate): caller for digest, caller in self._callers.items()}
        self._callers = {
            digest: known.get((digest, caller.name, caller.rate), caller) for digest, caller in fresh.items()
        }
        log.info("keys_read", keys=len(fresh))


def new_key(name: str) -> tuple[str, str]:
    """Return a new key, and the line of the keys file that lets it in.

    Raises:
        SettingsError: the name cannot be one.
    """
    key = secrets.token_urlsafe(_KEY_BYTES)
    line = f"{name} sha256:{hashlib.sha256(key.encode()).hexdigest()}"
    if _LINE.fullmatch(line) is None:
        raise SettingsError(f"--new-key {name!r}: a name is up to 64 letters, digits, dots, hyphens and underscores")
    return key, line


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as content:
            return content.read(_MOST_BYTES)
    except OSError as error:
        raise SettingsError(f"MODERATE_SERVE__KEYS_FILE: {file} cannot be read: {error.strerror}") from error


def _callers(content: bytes, file: Path, rate: float | None) -> Iterator[tuple[bytes, Caller]]:
    names: set[str] = set()
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        own = _rate(match["rate"]) if match else None
        if match is None or own == 0:
            # The line is not shown: it may be a key.
            advice = "a line is NAME sha256:DIGEST, as `moderate serve --new-key NAME` writes it"
            raise SettingsError(f"MODERATE_SERVE__KEYS_FILE: {file}, line {number} cannot be read: {advice}")
        if match["name"] in names:
            raise SettingsError(f"MODERATE_SERVE__KEYS_FILE: {file}, line {number}: {match['name']} has two keys")
        names.add(match["name"])
        yield bytes.fromhex(match["digest"]), Caller(match["name"], rate if own is None else own)
    if not names:
        raise SettingsError(
            f"MODERATE_SERVE__KEYS_FILE: {file} holds no key: `moderate serve --new-key NAME` makes one"
        )


def _rate(said: str | None) -> float | None:
    """Return a limit; 0 for what is none."""
    if said is None:
        return None
    try:
        return float(said)
    except ValueError:
        return 0.0
