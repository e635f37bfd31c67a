"""A worker that ends by itself."""

import asyncio
import json
import os
import sys
from typing import Any

from worker.commands.stack.ports import free_ports


async def run_to_its_end(**settings: str) -> tuple[int | None, list[dict[str, Any]]]:
    """Run a worker without a cache that ends by itself; return its exit code and the lines of its log.

    Args:
        settings: keyword names are written `KAFKA__GROUP_ID`.
    """
    settings = {"REDIS__URL": "", "HTTP__PORT": str(free_ports(1)[0]), "LOG__LEVEL": "warning"} | settings
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "worker", "run",
        env={**os.environ, **{f"MODERATE_{name}": value for name, value in settings.items()}},
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, [json.loads(line) for line in errors.decode().splitlines()]
