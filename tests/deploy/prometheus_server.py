"""A real Prometheus of a test's own, which scrapes real workers every second under the shipped rules."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.worker.patience import within
from worker.commands.stack.ports import free_ports

RULES = Path(__file__).parent.parent.parent / "deploy" / "prometheus"
JOB = "moderation-worker"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?P<before>\[|\bfor: |\boffset )(?P<number>\d+)(?P<unit>[smhd])\b")
_AGE = re.compile(r"(?P<before>time\(\) - \w+ < )(?P<number>\d+)\b")


def scaled(rules: str, factor: float) -> str:
    """Return rules with all their time divided: windows, `for`, offsets, and ages in seconds (`time() - x < 3600`).

    Thresholds stay: a lag of 60 s is one of 60 s.
    """

    def shorter(seconds: float) -> str:
        return f"{max(1, round(seconds / factor))}"

    rules = _DURATION.sub(
        lambda found: f"{found['before']}{shorter(int(found['number']) * _UNITS[found['unit']])}s", rules
    )
    return _AGE.sub(lambda found: f"{found['before']}{shorter(int(found['number']))}", rules)


@dataclass
class Prometheus:
    """A running server.

    Args:
        address: of its API.
        folder: of its files.
    """

    address: str
    folder: Path

    def watch(self, targets: Mapping[str, Mapping[str, str]]) -> None:
        """Scrape these from now on.

        Args:
            targets: host:port, and labels besides the job.
        """
        found = [{"targets": [address], "labels": dict(labels)} for address, labels in targets.items()]
        draft = self.folder / "targets.draft"
        draft.write_text(json.dumps(found), encoding="utf-8")
        draft.replace(self.folder / "targets.json")

    async def get(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of the API."""
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = (await client.get(f"{self.address}/api/v1/{path}", params=parameters, timeout=20)).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression now."""
        found = await self.get("query", query=expression)
        return list(found["result"])

    async def alerts(self, state: str, since: str = "") -> set[tuple[str, str, str]]:
        """Return (namespace, alert, severity) of what is in a state now, or was within a time such as `30s`."""
        window = (
            f"max_over_time(ALERTS{{alertstate='{state}'}}[{since}])" if since else f"ALERTS{{alertstate='{state}'}}"
        )
        series = [one["metric"] for one in await self.query(window)]
        return {(one.get("namespace", ""), one["alertname"], one["severity"]) for one in series}


@asynccontextmanager
async def prometheus_server(
    binary: Path, folder: Path, *, factor: float = 1, seconds: float = 1
) -> AsyncIterator[Prometheus]:
    """Run a server within the block.

    Args:
        binary: the program.
        folder: for its data.
        factor: by which the rules' time is divided.
        seconds: between two scrapes, and between two evaluations.
    """
    _write_settings(folder, factor, seconds)
    (port,) = free_ports(1)
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            binary, "--config.file=prometheus.yml", "--storage.tsdb.path=data",
            f"--web.listen-address=127.0.0.1:{port}", cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        server = Prometheus(f"http://127.0.0.1:{port}", folder)
        await _ready(server, process)
        yield server
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _write_settings(folder: Path, factor: float, seconds: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("rules.yml", "alerts.yml"):
        rules = (RULES / name).read_text(encoding="utf-8")
        (folder / name).write_text(rules if factor == 1 else scaled(rules, factor), encoding="utf-8")
    (folder / "targets.json").write_text("[]", encoding="utf-8")
    (folder / "prometheus.yml").write_text(
        f"global: {{scrape_interval: {seconds:g}s, scrape_timeout: {seconds:g}s, evaluation_interval: {seconds:g}s}}\n"
        "rule_files: [rules.yml, alerts.yml]\n"
        f"scrape_configs: [{{job_name: {JOB}, file_sd_configs: [{{files: [targets.json], refresh_interval: 1s}}]}}]\n",
        encoding="utf-8",
    )


async def _ready(server: Prometheus, process: asyncio.subprocess.Process) -> None:
    async with within(60), httpx.AsyncClient(trust_env=False) as client:
        while True:
            said = (server.folder / "prometheus.log").read_text(errors="replace")
            assert process.returncode is None, said[-3000:]
            try:
                if (await client.get(f"{server.address}/-/ready", timeout=2)).is_success:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)
