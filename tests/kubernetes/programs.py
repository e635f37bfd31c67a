"""The programs that `build.sh` built."""

import re
from pathlib import Path

import pytest

from worker.commands.stack.cache import cache_folder

_HERE = Path(__file__).parent


def version(module: str, package: str) -> str:
    """Return which version of a package is built.

    Args:
        module: the folder under `tools`.
        package: as its go.mod names it.
    """
    text = (_HERE / "tools" / module / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^(?:require)?\s*{re.escape(package)} (v\S+)", text, re.MULTILINE)
    assert found, f"{module}/go.mod does not name {package}"
    return found[1]


def program(name: str) -> Path:
    """Return a program or a file of data; skip the test where it is not built."""
    path = cache_folder() / "tools" / f"kubernetes-{version('cluster', 'k8s.io/kubernetes')}" / name
    if not path.is_file():
        pytest.skip(f"{name} is not built: sh tests/kubernetes/build.sh, which needs Go")
    return path
