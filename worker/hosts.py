"""Lists of hosts, as operators write them: names, names below a domain, addresses, networks, each maybe with a port."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

IpAddress = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str  # "" for a network
    network: _Network | None
    port: int | None

    @classmethod
    def parse(cls, text: str) -> "_Entry":
        """Read one entry.

        Raises:
            ValueError: it is none of the forms.
        """
        host, port = _without_port(text.strip().lower())
        if not host or any(sign in host for sign in "@?# "):
            raise ValueError(f"{text!r} is not a host")
        try:
            return cls("", ip_network(host), port)
        except ValueError as error:
            if "/" in host or ":" in host:
                raise ValueError(f"{text!r} is neither a host nor a network: {error}") from error
        if "*" in host.removeprefix("*."):
            raise ValueError(f"{text!r}: a * stands only before the first dot")
        return cls(host.removesuffix("."), None, port)

    def names(self, host: str) -> bool:
        if self.name.startswith("*."):
            return host.endswith(self.name[1:])
        return bool(self.name) and host == self.name

    def holds(self, address: IpAddress) -> bool:
        return self.network is not None and address.version == self.network.version and address in self.network


class HostList:
    """Hosts that something is allowed or denied for.

    Args:
        entries: `host`, `*.domain` (all below it, not itself), an address, or a network such as `10.1.0.0/16`;
            each but a network maybe with `:port`.

    Raises:
        ValueError: an entry has none of these forms.
    """

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._entries = tuple(_Entry.parse(entry) for entry in entries)

    def __bool__(self) -> bool:
        return bool(self._entries)

    def has_name(self, host: str, port: int) -> bool:
        """Return whether an entry names a host, which is in lower case and without a dot at its end."""
        return any(entry.names(host) and entry.port in {None, port} for entry in self._entries)

    def has_address(self, address: IpAddress, port: int) -> bool:
        """Return whether an entry is an address or holds it."""
        return any(entry.holds(address) and entry.port in {None, port} for entry in self._entries)


def _without_port(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or rest.strip(":0123456789"):
            raise ValueError(f"{text!r} is not a host")
        port = rest.removeprefix(":")
        return host, int(port) if port else None
    host, colon, port = text.rpartition(":")
    if colon and port.isdecimal() and ":" not in host:
        return host, int(port)
    return text, None
