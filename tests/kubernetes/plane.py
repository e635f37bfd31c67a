"""What real workers need of a control plane, so that one that is pretended can stand for it (`pretended.py`)."""

from collections.abc import Callable
from typing import Any, Protocol

from tests.deploy.manifests import Document


class Plane(Protocol):
    """Has pods, and says how many there shall be; `Cluster` says what each does."""

    def apply(self, documents: list[Document], namespace: str) -> None:
        """Take documents."""

    def read(self, path: str) -> Document:
        """Return what is under a path."""

    def pods(self, namespace: str) -> list[Document]:
        """Return the workers' pods."""

    def patch_status(self, namespace: str, pod: str, status: dict[str, Any]) -> None:
        """Say how a pod is."""

    def delete_pod(self, namespace: str, pod: str, uid: str) -> int:
        """Say that a pod is gone."""

    def roll(self, namespace: str) -> None:
        """Make all workers anew."""

    def wait_for(self, true: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until something is true."""
