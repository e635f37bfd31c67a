"""What a host in an address really is, in whichever form it is written, and whether strangers may name it."""

import re
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from worker.hosts import IpAddress

# What the IANA's registries of special addresses do not call globally reachable, and multicast. Written out, because
# Python's `is_global` differs between its versions, and calls IPv4 multicast global.
_PROTECTED_V4 = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' own; pods of some clouds
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local; metadata of clouds
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "168.63.129.16/32",  # public in the registries; answered by the host below a machine of Azure
    )
)
# All that is global unicast, and what within it is not for everybody or hides another address: Teredo, 6to4.
_GLOBAL_V6 = IPv6Network("2000::/3")
_PROTECTED_V6 = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
# How IPv4 is reached from networks that have IPv6 alone: the last four bytes say whom.
_NAT64 = IPv6Network("64:ff9b::/96")
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)


def address_of(host: str) -> IpAddress | None:
    """Return the address that a host stands for by itself, None for a name.

    Integers, octal, hexadecimal and shortened forms are read as the system's own resolver reads them.

    Raises:
        ValueError: it ends in a number, as only addresses do, and is none; or it is of one link alone (`%eth0`).
    """
    text = host.removesuffix(".")
    if ":" in text:
        address = ip_address(text)
        if getattr(address, "scope_id", None) is not None:
            raise ValueError(f"{host!r} is an address of one link")
        return plain(address)
    if not _NUMBER.fullmatch(text.rpartition(".")[2]):
        return None
    try:
        return IPv4Address(socket.inet_aton(text))
    except OSError as error:
        raise ValueError(f"{host!r} is not an address") from error


def plain(address: IpAddress) -> IpAddress:
    """Return the IPv4 address within a mapped one, all others as they are."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def is_protected(address: IpAddress) -> bool:
    """Return whether an address leads to this machine, its networks, or to nobody in particular."""
    address = plain(address)
    if isinstance(address, IPv4Address):
        return any(address in network for network in _PROTECTED_V4)
    if address in _NAT64:
        return is_protected(IPv4Address(address.packed[-4:]))
    return address not in _GLOBAL_V6 or any(address in network for network in _PROTECTED_V6)
