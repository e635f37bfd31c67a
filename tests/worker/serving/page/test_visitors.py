"""Who is looking, and what other sites may not do in their name."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.worker.serving.page.parts import ToldLabeller, browser_of, page_of


class Ana:
    """A caller."""

    name = "ana"

    def __init__(self) -> None:
        self.posts = 0

    def took(self, posts: int) -> None:
        """Count."""
        self.posts += posts


class Before:
    """Says who calls, as the gate does."""

    def __init__(self, app: ASGIApp, caller: Ana) -> None:
        self._app = app
        self._caller = caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        scope.setdefault("state", {})["caller"] = self._caller
        await self._app(scope, receive, send)


async def shown(caller: Ana, headers: Mapping[str, str], **options: Any) -> str:
    """Return the page that somebody sees."""
    app = Before(Starlette(routes=page_of(ToldLabeller(), **options).routes), caller)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://page.test") as client:
        await client.post("/page/labels", data={"text": "a"})
        return (await client.get("/", headers=headers)).text


async def test_a_name_is_that_of_a_key_or_what_a_proxy_says() -> None:
    """The header is a name where the setting says so, and nothing elsewhere."""
    named = {"x-forwarded-user": "cleo"}
    assert '<p class="who">' not in await shown(Ana(), named)
    assert '<p class="who">ana' in await shown(Ana(), named, keys_are_asked=True)
    assert '<p class="who">cleo' in await shown(Ana(), named, keys_are_asked=True, user_header="X-Forwarded-User")
    assert '<p class="who">ana' in await shown(Ana(), {}, keys_are_asked=True, user_header="X-Forwarded-User")


async def test_posts_count_against_the_rate_of_whoever_asks() -> None:
    """The page is no way around it."""
    ana = Ana()
    await shown(ana, {})
    assert ana.posts == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://page.test"}, 200),
        ({"origin": "http://evil.test"}, 403),
        ({"origin": "null"}, 403),
        ({}, 200),
    ],
)
async def test_what_other_sites_send_is_refused(headers: dict[str, str], status: int) -> None:
    """A browser would add its person's log-in to it."""
    async with browser_of(page_of(ToldLabeller())) as client:
        answer = await client.post("/page/labels", data={"text": "a"}, headers=headers)
    assert answer.status_code == status
