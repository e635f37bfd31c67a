"""The worker's pages, as its web server serves them."""

from pathlib import Path
from typing import Any

import faust
import pytest
from aiohttp.test_utils import TestClient, TestServer

from worker.app import build_app
from worker.errors import SettingsError
from worker.settings import Settings, load_settings


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


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> faust.App:
    """Give an app whose pages ask for a token, which stands in a file."""
    (tmp_path / "token").write_text("a token of sixteen\n", encoding="utf-8")
    monkeypatch.setenv("MODERATE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("MODERATE_HTTP__TOKEN_FILE", str(tmp_path / "token"))
    return build_app(load_settings())


@pytest.mark.parametrize(
    "said", [None, "Bearer", "Bearer a token of sixtee", "Basic a token of sixteen", "Bearer a token of sixteen and"]
)
async def test_without_the_token_nothing_is_told(guarded: faust.App, said: str | None) -> None:
    """No metrics; of the health no more than a probe needs."""
    web: Any = guarded.web
    web.init_server()
    headers = {} if said is None else {"Authorization": said}
    async with TestClient(TestServer(web.web_app)) as client:
        metrics = await client.get("/metrics", headers=headers)
        assert (metrics.status, metrics.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert "moderate_" not in await metrics.text()
        for page in ("/", "/livez", "/readyz"):
            assert set(await (await client.get(page, headers=headers)).json()) == {"status"}


async def test_with_the_token_all_is_told(guarded: faust.App) -> None:
    """As without one."""
    web: Any = guarded.web
    web.init_server()
    headers = {"Authorization": "Bearer a token of sixteen"}
    async with TestClient(TestServer(web.web_app)) as client:
        assert "moderate_ready" in await (await client.get("/metrics", headers=headers)).text()
        assert "loop_lag_seconds" in await (await client.get("/livez", headers=headers)).json()


def test_a_short_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not quoted."""
    monkeypatch.setenv("MODERATE_HTTP__TOKEN", "short")
    with pytest.raises(SettingsError, match="MODERATE_HTTP__TOKEN: a token has at least 16 characters") as raised:
        load_settings()
    assert "short" not in str(raised.value)


def test_pages_listen_on_this_machine_alone() -> None:
    """Unless told."""
    assert Settings.model_fields["http"].default.host == "127.0.0.1"
