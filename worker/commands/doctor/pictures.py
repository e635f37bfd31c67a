"""Where pictures come from: the operator's proxy, and the hosts that are named. Nothing is fetched from them."""

import asyncio
import ipaddress
import ssl
from base64 import b64encode
from collections.abc import Sequence

import httpx

from worker.commands.doctor.dialling import reach
from worker.commands.doctor.examination import Check
from worker.commands.doctor.findings import Outcome, listed, ok, warning
from worker.secrets import text_of
from worker.settings import MediaSettings

_PROXY, _HOSTS = "MODERATE_MEDIA__PROXY", "MODERATE_MEDIA__ALLOWED_HOSTS"
_SECONDS = 5.0
_MOST_HOSTS = 8
_MOST_REASON = 80  # characters
_PORTS = {"http": 80, "https": 443}
# Never resolves (RFC 6761): the proxy looks at the log-in before it looks for the host.
_NOWHERE = "moderate-doctor.invalid"


class Pictures:
    """Looks at the way to pictures.

    Args:
        settings: name the proxy and the hosts.
    """

    def __init__(self, settings: MediaSettings) -> None:
        self._settings = settings
        self._proxy = text_of(settings.proxy)

    def checks(self) -> list[Check]:
        """Return the checks, in order."""
        return [
            Check("pictures.proxy", self._reach_proxy, seconds=15),
            Check("pictures.hosts", self._reach_hosts, needs=("pictures.proxy",), seconds=30),
        ]

    async def _reach_proxy(self) -> Outcome:
        if self._proxy is None:
            return ok("pictures are fetched without a proxy")
        url = httpx.URL(self._proxy)
        where = f"{url.host}:{url.port or _PORTS[url.scheme]}"
        if lost := await reach(url.host, url.port or _PORTS[url.scheme], setting=_PROXY):
            says, remedy = lost
            return Outcome("warning", f"{says}; no picture of a public host is read", remedy, blocks=True)
        refusal = await self._through_proxy(_NOWHERE, 443)
        if refusal is not None and refusal.startswith("407"):
            said = f"the proxy {where} refuses {'the log-in' if url.userinfo else 'who does not log in'}"
            remedy = f"write user and password that it knows into {_PROXY}: http://user:password@{where}"
            return Outcome("warning", f"{said}; no picture of a public host is read", remedy, blocks=True)
        return ok(f"the proxy {where} takes requests")

    async def _reach_hosts(self) -> Sequence[Outcome]:
        hosts = [host for host in self._settings.allowed_hosts if _is_name(host)][:_MOST_HOSTS]
        if not hosts:
            return [ok("no single host is named that could be tried")]
        port = 443 if 443 in self._settings.allowed_ports else self._settings.allowed_ports[0]
        lost = await asyncio.gather(*(self._trouble(host, port) for host in hosts))
        found = [one for one in lost if one is not None]
        if len(found) < len(hosts):
            good = [host for host, one in zip(hosts, lost, strict=True) if one is None]
            found.insert(0, ok(f"{listed(good)}: port {port} is reached{self._by}"))
        return found

    @property
    def _by(self) -> str:
        return " through the proxy" if self._proxy else ""

    async def _trouble(self, host: str, port: int) -> Outcome | None:
        if self._proxy is None:
            lost = await reach(host, port, setting=_HOSTS)
            return None if lost is None else warning(f"{lost[0]}; its pictures are left out", lost[1])
        refusal = await self._through_proxy(host, port)
        if refusal is None:
            return None
        return warning(
            f"{host}:{port} cannot be reached through the proxy: {refusal}; its pictures are left out",
            f"let the proxy connect to {host}, or correct {_HOSTS}",
        )

    async def _through_proxy(self, host: str, port: int) -> str | None:
        """Return what the proxy says where it does not connect to a host; None where it does."""
        url = httpx.URL(self._proxy or "")
        secure = ssl.create_default_context() if url.scheme == "https" else None
        log_in = b64encode(f"{url.username}:{url.password}".encode()).decode() if url.userinfo else None
        lines = [f"CONNECT {host}:{port} HTTP/1.1", f"Host: {host}:{port}"]
        lines += [f"Proxy-Authorization: Basic {log_in}"] if log_in else []
        try:
            async with asyncio.timeout(_SECONDS):
                reader, writer = await asyncio.open_connection(url.host, url.port or _PORTS[url.scheme], ssl=secure)
                try:
                    writer.write("\r\n".join([*lines, "", ""]).encode())
                    answer = (await reader.readline()).decode("latin-1").split(maxsplit=1)
                finally:
                    writer.close()
        except TimeoutError:
            return f"no answer within {_SECONDS:.0f} s"
        except (OSError, ValueError) as error:
            return str(error) or type(error).__name__
        if len(answer) < 2 or not answer[0].startswith("HTTP/"):
            return "it answers as no proxy does"
        return None if answer[1].startswith("2") else answer[1].strip()[:_MOST_REASON]


def _is_name(host: str) -> bool:
    """Return whether an entry names one host: neither a pattern nor a network."""
    if "*" in host:
        return False
    try:
        return ipaddress.ip_network(host, strict=False).num_addresses == 1
    except ValueError:
        return "/" not in host
