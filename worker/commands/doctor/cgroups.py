"""What a container may use: memory and processor time, as control groups of version 1 or 2 limit them."""

from collections.abc import Iterator
from pathlib import Path

_UNLIMITED = 2**60  # version 1 writes a huge number where there is no limit


class ControlGroup:
    """The limits of this process's control group, and of those around it.

    Args:
        root: where the file systems are; for tests.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._mount = root / "sys" / "fs" / "cgroup"
        self._paths = _paths(root / "proc" / "self" / "cgroup")

    def memory_bytes(self) -> int | None:
        """Return how much memory there may be; None without a limit."""
        found = [
            int(text)
            for text in (*self._read("memory.max"), *self._read("memory.limit_in_bytes", "memory"))
            if text.isdecimal() and int(text) < _UNLIMITED
        ]
        return min(found, default=None)

    def memory_used_bytes(self) -> int | None:
        """Return how much of that is used, what can be given back at once left out; None where nobody says."""
        used = [*self._read("memory.current"), *self._read("memory.usage_in_bytes", "memory")]
        stats = [*self._read("memory.stat"), *self._read("memory.stat", "memory")]
        if not used:
            return None
        # Pages of files that nobody looks at.
        idle = next((_number(line) for line in "\n".join(stats[:1]).splitlines() if "inactive_file " in line), 0)
        return max(0, int(used[0]) - idle)

    def processors(self) -> float | None:
        """Return how many processors' time there may be; None without a limit."""
        found = []
        for text in self._read("cpu.max"):
            quota, _, period = text.partition(" ")
            if quota.isdecimal():
                found.append(int(quota) / int(period))
        quotas, periods = (list(self._read(f"cpu.cfs_{what}_us", "cpu")) for what in ("quota", "period"))
        found += [int(quota) / int(period) for quota, period in zip(quotas, periods, strict=False) if int(quota) > 0]
        return min(found, default=None)

    def _read(self, name: str, controller: str = "") -> Iterator[str]:
        """Yield a file of this group and of those around it, the innermost first."""
        path = self._paths.get(controller)
        if path is None:
            return
        mount = self._mount / controller
        # In a container the path may be that of the host: then its own group is the mount itself.
        inner = mount / path.strip("/")
        for folder in (inner, *inner.parents):
            if folder == mount or mount in folder.parents:
                try:
                    yield (folder / name).read_text(encoding="ascii").strip()
                except OSError:
                    continue


def _paths(file: Path) -> dict[str, str]:
    """Return the group's path by controller; version 2 has one for all, named by nothing."""
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        found |= dict.fromkeys(controllers.split(","), path)
    return found


def _number(line: str) -> int:
    return int(line.rsplit(maxsplit=1)[-1])
