"""Can this process serve its pages where it shall? The worker asks before it begins, and the doctor asks the same."""

import errno
import socket
from dataclasses import dataclass

from worker.errors import SettingsError
from worker.settings import HttpSettings, ServeSettings, Settings

_LAST_PORT = 65_535


@dataclass(frozen=True)
class Obstacle:
    """Why nothing can listen on an address.

    Args:
        says: what is wrong.
        remedy: what helps.
        is_taken: whether somebody listens there already.
    """

    says: str
    remedy: str
    is_taken: bool = False


def obstacle(http: HttpSettings | ServeSettings, group: str = "HTTP") -> Obstacle | None:
    """Return what keeps the pages from being served; None where nothing does.

    Args:
        http: where they shall be.
        group: of the settings that say so.
    """
    error = _listen_error(http.host, http.port)
    if error is None:
        return None
    where = f"{http.host}:{http.port}"
    if error.errno == errno.EADDRINUSE:
        remedy = f"set MODERATE_{group}__PORT to a port that is free, or end what listens there"
        return Obstacle(f"{where} is taken by another process", remedy, is_taken=True)
    if error.errno == errno.EACCES:
        return Obstacle(f"{where} is not for this user", f"set MODERATE_{group}__PORT to 1024 or more")
    return Obstacle(
        f"nothing can listen on {where}: {error.strerror or error}",
        f"set MODERATE_{group}__HOST to an address of this machine",
    )


def pages(settings: Settings) -> list[HttpSettings]:
    """Return where the pages of each process are.

    Raises:
        SettingsError: there are not so many ports.
    """
    http = settings.http
    last = http.port + settings.processes - 1
    if last > _LAST_PORT:
        raise SettingsError(f"MODERATE_PROCESSES: {settings.processes} of them need the ports {http.port} to {last}")
    return [http.model_copy(update={"port": http.port + number}) for number in range(settings.processes)]


def refuse_taken_address(http: HttpSettings | ServeSettings, group: str = "HTTP") -> None:
    """Look whether the pages can be served, before a model is loaded for nothing.

    Raises:
        SettingsError: they cannot.
    """
    if (found := obstacle(http, group)) is not None:
        raise SettingsError(f"MODERATE_{group}__PORT: {found.says}: {found.remedy}")


def _listen_error(host: str, port: int) -> OSError | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As servers do: connections that were closed a moment ago do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None
