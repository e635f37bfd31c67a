"""The page as a part of `moderate serve`: its labeller, its keys, its settings."""

import asyncio
import base64
import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.worker.serving.conftest import Serving
from tests.worker.serving.stages import WaitingStages
from worker.errors import SettingsError
from worker.settings import load_settings

KEY = "the-key-of-ana"


def asked(status: str) -> str:
    """Return what a person is told."""
    return unquote(status)


async def test_labels_are_those_of_the_api(serving: Serving) -> None:
    """The same labeller answers both, with the same digits."""
    async with serving() as client:
        labelled = (await client.post("/v1/label", json={"id": "try-it", "text": "a"})).json()["labels"]
        page = await client.post("/page/labels", data={"text": "a"})
    assert page.status_code == 200
    assert labelled
    for label in labelled.values():
        for share in label["probabilities"].values():
            assert f"{share:.4f}" in page.text


async def test_a_model_that_loads_is_said_to(serving: Serving) -> None:
    """The page is there before its model is."""
    async with serving(loaded=False) as client:
        page = await client.get("/")
        assert page.status_code == 200
        assert "The model is being loaded." in page.text
        answer = await client.post("/page/labels", data={"text": "a"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
    assert asked(answer.headers["x-page-status"]) == "The model is being loaded. Asking again."


async def test_overload_is_said(serving: Serving, stages: WaitingStages) -> None:
    """As the API says it."""
    stages.may.clear()
    async with serving(max_waiting_posts=1, max_request_posts=1) as client:
        first = asyncio.create_task(client.post("/page/labels", data={"text": "a"}))
        await asyncio.sleep(0.05)
        second = await client.post("/page/labels", data={"text": "b"})
        stages.may.set()
        assert (await first).status_code == 200
    assert second.status_code == 429
    assert asked(second.headers["x-page-status"]) == "The server is busy. Asking again."


async def test_with_keys_a_browser_asks_its_person_for_one(serving: Serving, tmp_path: Path) -> None:
    """The page says whose it is; a key is as slow here as for programs, and files and views cost it nothing."""
    file = tmp_path / "keys"
    _write(file)
    person = {"authorization": f"Basic {base64.b64encode(f'any:{KEY}'.encode()).decode()}", "accept": "text/html"}
    async with serving(keys_file=str(file)) as client:
        stranger = await client.get("/", headers={"accept": "text/html"})
        assert (stranger.status_code, stranger.headers["www-authenticate"][:5]) == (401, "Basic")
        assert (await client.post("/page/labels", data={"text": "a"})).status_code == 401
        assert '<p class="who">ana' in (await client.get("/", headers=person)).text
        codes = [(await client.post("/page/labels", data={"text": "a"}, headers=person)).status_code for _ in range(3)]
        assert (codes[0], codes[-1]) == (200, 429)
        assert (await client.get("/page/static/page.css", headers=person)).status_code == 200


def _write(file: Path) -> None:
    file.write_text(f"ana sha256:{hashlib.sha256(KEY.encode()).hexdigest()} 1\n", encoding="utf-8")


async def test_the_settings_may_want_no_page(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API stays."""
    monkeypatch.setenv("MODERATE_PAGE__ENABLED", "false")
    async with serving() as client:
        assert (await client.get("/")).status_code == 404
        assert (await client.get("/page/static/page.css")).status_code == 404
        assert (await client.get("/v1/model")).status_code == 200


async def test_the_stream_is_there_where_a_kafka_is_set(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the settings want none."""
    monkeypatch.setenv("MODERATE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    async with serving() as client:
        assert (await client.get("/stream")).status_code == 200
        assert (await client.post("/page/stream/verdict", data={})).status_code in {404, 405}
    monkeypatch.setenv("MODERATE_PAGE__STREAM", "false")
    async with serving() as client:
        assert (await client.get("/stream")).status_code == 404


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ({"verdict_users": ["ana"], "stream": False}, "verdicts are given where the stream is shown"),
        ({"user_header": "x user"}, "MODERATE_PAGE__USER_HEADER"),
        ({"posts_per_second": 11}, "MODERATE_PAGE__POSTS_PER_SECOND"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(page: dict[str, Any], said: str) -> None:
    """Before anything starts."""
    with pytest.raises(SettingsError, match=said):
        load_settings({"page": page})
