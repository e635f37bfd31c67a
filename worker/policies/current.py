"""The policy that is in force: replaced between two slices, never within one."""

from collections.abc import Callable

from worker.policies.policies import Policies


class Current:
    """Holds the policy that decides now.

    Args:
        policies: at first.
        on_change: told of each other one that comes.
    """

    def __init__(self, policies: Policies, on_change: Callable[[Policies], None] = lambda _: None) -> None:
        self.policies = policies
        self._on_change = on_change

    def take(self, policies: Policies) -> None:
        """Put another one in force, from the next slice on."""
        if policies != self.policies:
            self.policies = policies
            self._on_change(policies)
