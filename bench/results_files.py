"""The JSON files that benches leave in `bench/results/`."""

import json
from pathlib import Path
from typing import Any

MISSING = "Not measured yet on a machine that did nothing else."
"""What a page says of a bench whose results are not there."""


def read_result(path: Path) -> dict[str, Any] | None:
    """Return what a bench left, None where it has not run."""
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
