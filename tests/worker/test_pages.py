"""The worker's pages, as its web server serves them."""

from typing import Any

import faust
import pytest
from aiohttp.test_utils import TestClient, TestServer

from worker.app import build_app
from worker.settings import load_settings


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> faust.App:
    """Give an app that is not started."""
    monkeypatch.setenv("MODERATE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    return build_app(load_settings())


async def test_the_root_answers_as_livez(app: faust.App) -> None:
    """Faust's own page there would say ok whatever happens; ours fails with the loop."""
    web: Any = app.web
    web.init_server()
    async with TestClient(TestServer(web.web_app)) as client:
        root, alive = await client.get("/"), await client.get("/livez")
        assert (root.status, (await root.json()).keys()) == (alive.status, (await alive.json()).keys())
        assert "loop_lag_seconds" in await root.json()
        assert (await client.get("/nothing")).status == 404
