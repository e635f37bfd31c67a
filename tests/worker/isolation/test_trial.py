"""The trial of suspicious records, in a real child process with the shipped model."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.worker.isolation.test_poison import picture, pictured
from tests.worker.records import StandInRecord
from tests.worker.system import post
from tests.worker.web_server import web_server
from worker.isolation.trial import Trial
from worker.items import Item
from worker.settings import Settings, load_settings

HOOKS = Path(__file__).parent.parent / "hooks"


@pytest.mark.model
async def test_the_child_dies_of_the_guilty_and_survives_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What kills is named, twice found and remembered; harmless, hopeless and empty records are survived."""
    monkeypatch.setenv("PYTHONPATH", str(HOOKS))
    trial = Trial(Settings(media={"sandbox": False}))
    try:
        assert await trial.ready()
        for offset, value in enumerate((pictured("p-0", "harmless"), b"no JSON", None, post("p-1", text="hello"))):
            assert await trial.cause_of_death(Item(StandInRecord(value, offset=offset))) is None
        guilty = Item(StandInRecord(pictured("p-2", "moderate-test:abort"), offset=9))
        assert await trial.cause_of_death(guilty) == "SIGABRT"
        again = Item(StandInRecord(base64.b64encode(picture()), offset=9))
        assert await trial.cause_of_death(again) == "SIGABRT"
    finally:
        trial.close()


class StatedRegistry:
    """A Schema Registry that answers with what the test says."""

    def __init__(self) -> None:
        self.status = 503
        self.asked = 0
        self.url = ""

    async def answer(self, _: web.Request) -> web.Response:
        """Give a schema of posts, or the trouble that it is in."""
        self.asked += 1
        if self.status != 200:
            return web.Response(status=self.status)
        fields = [{"name": "id", "type": "string"}, {"name": "text", "type": "string"}]
        return web.json_response({"schema": json.dumps({"type": "record", "name": "Post", "fields": fields})})


@pytest.fixture
async def registry() -> AsyncIterator[StatedRegistry]:
    """Give a registry in trouble."""
    registry = StatedRegistry()
    async with web_server(web.get("/{path:.*}", registry.answer)) as address:
        registry.url = f"http://{address}"
        yield registry


@pytest.mark.model
@pytest.mark.soak
async def test_a_registry_in_trouble_makes_nobody_guilty(registry: StatedRegistry) -> None:
    """A record waits on trial for its schema, longer than a record may take, and is found harmless when it comes.

    Where the registry refuses the log-in the child ends, and that proves nothing against the record either.
    """
    groups = {
        "kafka": {"registry_url": registry.url, "registry_timeout_seconds": 0.2},
        # The child is given two seconds for a record, and what media may take.
        "guard": {"max_work_seconds": 2.0},
        "media": {"timeout_seconds": 0.5},
    }
    harmless = b"\0\0\0\0\x07" + b"\x06p-1" + b"\x0ahello"
    trial = Trial(load_settings(groups))
    try:
        found = asyncio.create_task(trial.cause_of_death(Item(StandInRecord(harmless, offset=1))))
        while not registry.asked:
            await asyncio.sleep(0.05)
        child = trial._child
        done, _ = await asyncio.wait({found}, timeout=4.0)
        assert (done, trial._child) == (set(), child)
        registry.status = 200
        assert await found is None
        registry.status = 401
        other = b"\0\0\0\0\x08" + harmless[5:]
        assert await trial.cause_of_death(Item(StandInRecord(other, offset=2))) is None
    finally:
        trial.close()
