"""Secrets among the settings: which are some, how they are read from files, and addresses that hold them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

_MOST_SECRET_BYTES = 64 * 1024
_IN_ADDRESS = re.compile(r"(?<=://)([^:@/?#]*):.*@", re.DOTALL)


def is_secret(variable: str) -> bool:
    """Return whether what a variable holds must never be shown."""
    return any(word in variable.upper() for word in ("PASSWORD", "SECRET", "TOKEN", "PROXY", "REDIS__URL"))


def text_of(secret: SecretStr | str | None) -> str | None:
    """Return a secret in the open, for whoever has to send it."""
    return secret.get_secret_value() if isinstance(secret, SecretStr) else secret


def from_file(values: Any, name: str, file_name: str) -> Any:
    """Return the values of a group in which the secret `name` is what stands in the file `file_name`.

    White space at its ends is left out: editors and `echo` add a line end.

    Raises:
        ValueError: the file cannot be read, is empty, or the secret is given in another way too.
    """
    # What is no path is refused by whoever reads the group.
    if not isinstance(values, Mapping) or not isinstance(values.get(file_name) or None, str | Path):
        return values
    secret = read_secret(Path(values[file_name]))
    if values.get(name) is not None and text_of(values[name]) != secret:
        raise ValueError(f"{name} and {file_name} are both given, and differ: one of them is enough")
    return {**values, name: SecretStr(secret)}


def read_secret(file: Path) -> str:
    """Return what stands in a file, without white space at its ends.

    Raises:
        ValueError: it cannot be read, or nothing stands in it.
    """
    try:
        with file.open("rb") as content:
            secret = content.read(_MOST_SECRET_BYTES).decode().strip()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ValueError(f"{file} cannot be read: {reason}") from error
    if not secret:
        raise ValueError(f"{file} is empty")
    return secret


def check_redis_address(address: str) -> None:
    """Look at an address of Redis, and say what is wrong with it without quoting it.

    Raises:
        ValueError: it cannot be read in one way only.
    """
    advice = (
        "it is written redis://host:port/db; in a password # @ / : ? are %23 %40 %2F %3A %3F, "
        "or it has a setting of its own, MODERATE_REDIS__PASSWORD"
    )
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"this address cannot be read: {advice}") from None
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise ValueError(f"this is not an address of a Redis: {advice}")
    # What stands behind these was meant for a password that holds one of them.
    if "#" in address or "@" in parts.path + parts.query:
        raise ValueError(f"this address can be read in two ways: {advice}")
    if parts.scheme == "unix":
        return
    if not host or not re.fullmatch(r"/?\d*", parts.path):
        raise ValueError(f"this address cannot be read: {advice}")


def with_log_in(address: str, username: str | None, password: str | None) -> str:
    """Return an address of Redis with a log-in in the place of its own."""
    if username is None and password is None:
        return address
    scheme, _, rest = address.partition("://")
    own, at, place = rest.rpartition("@")
    own_user, _, own_password = own.partition(":") if at else ("", "", "")
    user = unquote(own_user) if username is None else username
    word = unquote(own_password) if password is None else password
    return f"{scheme}://{quote(user, safe='')}:{quote(word, safe='')}@{place}"


def without_password(address: str) -> str:
    """Return an address that may be shown, also where it cannot be read: all up to its last @ is hidden."""
    return _IN_ADDRESS.sub(r"\1:…@", address)
