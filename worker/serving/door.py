"""What the routes share: the labeller once there is one, keys, health, bodies that are held."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from worker.serving.errors import LoadingError, OverloadedError
from worker.serving.health import ServingHealth
from worker.serving.keys import Keys
from worker.serving.labeller import Labeller
from worker.serving.page.routes import Page
from worker.settings import Settings
from worker.telemetry.serving_metrics import SERVING_BODY_BYTES


@dataclass
class Door:
    """The state of the process behind the routes.

    Args:
        settings: everything that an operator may set.
        keys: who may ask.
        health: what works.
        labeller: None until the model is loaded.
        model: what `GET /v1/model` says, by then.
        page: for people; None where the settings want none.
    """

    settings: Settings
    keys: Keys
    health: ServingHealth
    labeller: Labeller | None = None
    model: dict[str, Any] = field(default_factory=dict)
    page: Page | None = None
    _body_bytes: int = 0

    @property
    def open_labeller(self) -> Labeller:
        """The labeller.

        Raises:
            LoadingError: there is none yet.
        """
        if self.labeller is None:
            raise LoadingError("the model is being loaded")
        return self.labeller

    @contextmanager
    def room_for_body(self, size: int) -> Iterator[None]:
        """Count the bytes of a body within the block.

        Raises:
            OverloadedError: too many are held already.
        """
        if self._body_bytes and self._body_bytes + size > self.settings.serve.max_waiting_bytes:
            said = f"bodies of {self._body_bytes} bytes are held already"
            raise OverloadedError(said, retry_after_seconds=1, reason="full")
        self._count(size)
        try:
            yield
        finally:
            self._count(-size)

    def _count(self, size: int) -> None:
        self._body_bytes += size
        SERVING_BODY_BYTES.set(self._body_bytes)
