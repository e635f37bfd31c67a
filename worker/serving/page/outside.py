"""What the page needs of the rest of the door. It knows nobody else: whoever puts the two together makes these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.requests import Request


class BusyError(Exception):
    """No answer now: the queue is full, the time for an answer is over, or the model is not loaded yet.

    Args:
        retry_after_seconds: when to ask again.
        said: why, for a person.
    """

    def __init__(self, retry_after_seconds: float, said: str = "The server is busy.") -> None:
        super().__init__(said)
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True)
class Labelled:
    """The labels of one post.

    Args:
        labels: by task, each with the fields of a record on a label topic.
        decisions: what the policies make of them, as a record of decisions says it; None where there are no policies.
    """

    labels: Mapping[str, Mapping[str, Any]]
    decisions: Sequence[Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class Refused:
    """Why a post has no labels.

    Args:
        stage, reason: as a dead letter says them.
        said: the same for a person; it may quote the post.
    """

    stage: str
    reason: str
    said: str


Answer = Labelled | Refused


class Labeller(Protocol):
    """Labels posts as the stream does."""

    async def label(self, posts: Sequence[bytes], request: Request) -> Sequence[Answer]:
        """Return an answer for each post.

        Args:
            posts: as a producer would write them.
            request: that waits for it, its body read; where its client goes away, the work ends.

        Raises:
            BusyError: there is no room, or no time.
        """
        ...

    async def explain(self, post: bytes, request: Request) -> Mapping[str, Any] | Refused:
        """Return the object of `mmorient explain --json`.

        Args:
            post: as a producer would write it.
            request: as of `label`.

        Raises:
            BusyError: there is no room, or no time.
        """
        ...


class Caller(Protocol):
    """Whoever has an API key, or everybody who has none."""

    @property
    def name(self) -> str:
        """The key's."""
        ...

    def took(self, posts: int) -> None:
        """Note that they asked for the labels of posts."""
        ...
