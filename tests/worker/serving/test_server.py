"""The process: its first and last line, its end, a client of Perspective, and a client that goes away."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.worker.serving.processes import Served, serving_process
from worker.serving.keys import new_key

pytestmark = pytest.mark.model
_WORD = "xylophone"


async def test_a_server_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    """It introduces itself, answers a client of Perspective, finishes what it accepted and says why it ends."""
    key, line = new_key("shop")
    (tmp_path / "keys").write_text(line, encoding="utf-8")
    async with serving_process(
        tmp_path, anew=True, SERVE__KEYS_FILE="keys", SERVE__DEADLINE_SECONDS="60", LOG__LEVEL="debug"
    ) as served:
        score = await asyncio.to_thread(_ask_as_perspectives_clients_do, served, key)
        assert 0 <= score["attributeScores"]["TOXICITY"]["summaryScore"]["value"] <= 1
        assert score["clientToken"] == "t-1"
        async with httpx.AsyncClient(base_url=served.address, trust_env=False, timeout=30) as client:
            client.headers["authorization"] = f"Bearer {key}"
            assert (await client.get("/v1/model")).json()["name"] == "mm-orient-compact"
            assert (await client.post("/v1/explain", json={"id": "p-1", "text": _WORD})).json()["id"] == "p-1"
            posts = [{"id": f"p-{number}", "text": f"{_WORD} number {number} " * 20} for number in range(90)]
            under_way = asyncio.create_task(client.post("/v1/label", json=posts))
            await _until_accepted(client, 90)
            code = asyncio.create_task(served.end())
            answer = await under_way
        assert (answer.status_code, len(answer.json())) == (200, 90)
        assert await code == 0
    text = served.log()
    lines = [one for one in map(json.loads, text.splitlines()) if one["logger"].startswith("worker.")]
    first, last = lines[0], lines[-1]
    assert (first["event"], first["address"], first["keys"]) == ("server_starts", served.address, 1)
    assert (first["checkpoint"], first["digest"][:7], first["cache"]) == ("shipped", "sha256:", None)
    assert (last["event"], last["why"]) == ("server_ends", "told to stop by SIGTERM")
    assert last["posts"] == 92
    assert [line["event"] for line in lines].count("drained") == 1
    assert not [line for line in lines if line["level"] in {"error", "critical"}], text
    assert _WORD not in text
    assert key not in text


def _ask_as_perspectives_clients_do(served: Served, key: str) -> Any:
    """Ask as its documentation shows, with another address."""
    from googleapiclient import discovery

    client = discovery.build(
        "commentanalyzer",
        "v1alpha1",
        developerKey=key,
        discoveryServiceUrl=f"{served.address}/$discovery/rest?version=v1alpha1",
        static_discovery=False,
    )
    analyze_request = {
        "comment": {"text": "friendly greetings from python"},
        "requestedAttributes": {"TOXICITY": {}},
        "clientToken": "t-1",
    }
    return client.comments().analyze(body=analyze_request).execute()


async def _until_accepted(client: httpx.AsyncClient, posts: int) -> None:
    async with asyncio.timeout(10):
        while f"moderate_serving_posts {posts}.0" not in (await client.get("/metrics")).text:
            await asyncio.sleep(0.01)


async def test_told_to_stop_while_the_model_loads(tmp_path: Path) -> None:
    """It ends at once, in order."""
    async with serving_process(tmp_path, ready=False, anew=True) as served:
        async with asyncio.timeout(60):
            while "server_starts" not in served.log():
                await asyncio.sleep(0.05)
        assert await served.end() == 0
    assert json.loads(served.log().splitlines()[-1])["event"] == "server_ends"
