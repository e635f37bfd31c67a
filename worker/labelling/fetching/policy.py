"""Whom the worker may connect to for a stranger: by name, port and address, all before the first packet."""

from collections.abc import Collection, Iterable

from worker.hosts import HostList, IpAddress
from worker.labelling.fetching.addresses import is_protected


class RefusedError(Exception):
    """An address that is not asked; `kind` is for operators, and never stands on a label.

    Attributes:
        kind: port, denied, not_allowed, protected, downgrade, numbers.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class AddressPolicy:
    """Decides about hosts and addresses.

    Args:
        ports: that may be asked.
        allowed: hosts that may be asked; empty: all that nothing else forbids.
        denied: hosts that are never asked, whatever the other lists say.
        private: hosts that may be asked though their addresses are protected, at any port unless they name one.
    """

    def __init__(
        self,
        *,
        ports: Collection[int] = (80, 443),
        allowed: HostList | None = None,
        denied: HostList | None = None,
        private: HostList | None = None,
    ) -> None:
        self._ports = frozenset(ports)
        self._allowed = allowed or HostList()
        self._denied = denied or HostList()
        self._private = private or HostList()

    def is_private(self, host: str, port: int) -> bool:
        """Return whether the operator named this host, and so vouches for the addresses of its name."""
        return self._private.has_name(host, port)

    def are_private(self, addresses: Iterable[IpAddress], port: int) -> bool:
        """Return whether the operator named the networks that all of these addresses are in."""
        return all(self._private.has_address(address, port) for address in addresses)

    def check(self, host: str, port: int) -> None:
        """Check all that can be known of a name without its addresses.

        Raises:
            RefusedError: the host may not be asked.
        """
        if (refusal := self._refusal(host, port, None)) is not None:
            raise RefusedError(refusal)

    def usable(self, host: str, port: int, addresses: Iterable[IpAddress]) -> list[IpAddress]:
        """Return those of a host's addresses that may be connected to.

        Raises:
            RefusedError: none of them may.
        """
        refusals: list[str] = []
        chosen: list[IpAddress] = []
        for address in addresses:
            refusal = self._refusal(host, port, address)
            if refusal is None:
                chosen.append(address)
            else:
                refusals.append(refusal)
        if not chosen:
            raise RefusedError(refusals[0] if refusals else "protected")
        return chosen

    def _refusal(self, host: str, port: int, address: IpAddress | None) -> str | None:
        def stands_in(hosts: HostList) -> bool:
            return hosts.has_name(host, port) or (address is not None and hosts.has_address(address, port))

        is_private = stands_in(self._private)
        if stands_in(self._denied):
            return "denied"
        if not is_private and port not in self._ports:
            return "port"
        if self._allowed and not is_private and not stands_in(self._allowed):
            return "not_allowed"
        return "protected" if address is not None and is_protected(address) and not is_private else None
