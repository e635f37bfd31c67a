"""What `moderate serve` knows of its own state: of the worker's checks those that need no broker."""

from dataclasses import dataclass
from typing import Any

from worker.telemetry.health import Health


@dataclass
class ServingHealth(Health):
    """State that the pages report.

    Args:
        accepting: whether posts are accepted; false as the process ends.
    """

    accepting: bool = True

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Return whether posts that arrive now are labelled."""
        checks = self._checks()
        return all(checks.values()), dict(checks)

    def _checks(self) -> dict[str, bool]:
        return {"model_loaded": self.model_loaded, "accepting": self.accepting}
