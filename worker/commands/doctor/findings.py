"""What a check finds."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "failure", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """One thing that a check has to say.

    Args:
        status: `failure`: the worker would not start, or would not label; `warning`: it would, and not as one would
            wish; `skipped`: it could not be looked at.
        says: one line.
        remedy: one line that names what to change; only where something should be.
        blocks: whether nothing can be seen behind it, though the worker would run.
    """

    status: Status
    says: str
    remedy: str | None = None
    blocks: bool = False

    @property
    def passes(self) -> bool:
        """Whether what needs this can be looked at."""
        return not self.blocks and self.status in {"ok", "warning"}


@dataclass(frozen=True)
class Finding:
    """An outcome and the check that it is of.

    Args:
        check: name of the check, such as `broker.address`; stays the same from version to version.
        status, says, remedy: as of an outcome.
    """

    check: str
    status: Status
    says: str
    remedy: str | None = None

    @property
    def area(self) -> str:
        """What the check looks at: the name's part before the dot."""
        return self.check.partition(".")[0]


def ok(says: str) -> Outcome:
    """Return that all is as it should be."""
    return Outcome("ok", says)


def warning(says: str, remedy: str) -> Outcome:
    """Return that the worker would label, and not as one would wish."""
    return Outcome("warning", says, remedy)


def failure(says: str, remedy: str) -> Outcome:
    """Return that the worker would not start, or would not label."""
    return Outcome("failure", says, remedy)


def skipped(says: str) -> Outcome:
    """Return why nothing could be looked at."""
    return Outcome("skipped", says)


def listed(names: object, most: int = 4) -> str:
    """Return names in a row, the first few of many."""
    found = [str(name) for name in names] if isinstance(names, list | tuple | set | frozenset | dict) else [str(names)]
    rest = len(found) - most
    return ", ".join(found[:most]) + (f" and {rest} more" if rest > 0 else "")
