"""`moderate stack` as its users run it."""

import os
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "worker", "stack"]
KAFKA_VARIABLE = "MODERATE_KAFKA__BOOTSTRAP_SERVERS"
REDIS_VARIABLE = "MODERATE_REDIS__URL"
# The servers that these tests run beside are none of theirs.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in {KAFKA_VARIABLE, REDIS_VARIABLE}}


def stack(*arguments: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run `moderate stack` to its end."""
    return subprocess.run(
        [*COMMAND, *arguments, "--folder", str(folder)],
        env=ENVIRONMENT | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def start(*arguments: str, folder: Path) -> "subprocess.Popen[bytes]":
    """Start `moderate stack`."""
    return subprocess.Popen(
        [*COMMAND, *arguments, "--folder", str(folder)],
        env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
