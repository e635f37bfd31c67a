"""The routes of our own: what they take, what they answer, what they refuse."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from schemas import Label
from tests.worker.serving.conftest import ADDRESS, Serving
from tests.worker.serving.stages import WaitingStages, post
from worker.serving.keys import new_key
from worker.serving.shapes import ServedLabel


def reason_of(answer: httpx.Response) -> str:
    """Return the code of a refusal."""
    return str(answer.json()["error"]["reason"])


async def test_one_post_has_one_answer_and_a_list_a_list(serving: Serving) -> None:
    """In the list's order, whatever stands in it."""
    async with serving() as client:
        one = await client.post("/v1/label", content=post(1))
        many = await client.post("/v1/label", content=b"[" + post(1) + b", 7," + post(2) + b"]")
        none = await client.post("/v1/label", content=b" [] ")
    assert one.status_code == many.status_code == none.status_code == 200
    assert one.json()["labels"]["sarcasm"]["probabilities"]["sarcastic"] == 0.75
    assert [answer["post_id"] for answer in many.json()] == ["p-1", None, "p-2"]
    assert many.json()[0] == one.json()
    assert none.json() == []


async def test_a_single_post_that_cannot_be_labelled_is_said_by_the_status_too(serving: Serving) -> None:
    """The body has what its dead letter would carry."""
    async with serving() as client:
        answer = await client.post("/v1/label", content=b"{nonsense")
        reasons = await client.post("/v1/explain", content=b"{nonsense")
    assert answer.status_code == reasons.status_code == 422
    assert answer.json() == reasons.json()
    assert answer.json()["error"] == {"stage": "decode", "reason": "no_json", "message": "record: is no JSON"}


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [(b" ", 400, "empty"), (b"[1, 2", 400, "no_json"), (b"[1,2,3]", 413, "too_many_posts"), (b"7" * 99, 413, "body")],
)
async def test_a_body_that_can_never_be_answered_is_refused(
    serving: Serving, content: bytes, status: int, reason: str
) -> None:
    """With its own code."""
    async with serving(max_request_posts=2, max_body_bytes=50) as client:
        answer = await client.post("/v1/label", content=content)
    assert (answer.status_code, reason_of(answer)) == (status, reason)
    assert "retry-after" not in answer.headers


async def test_a_body_of_unknown_size_is_cut_where_it_is_too_large(serving: Serving) -> None:
    """No more of it is read than may be."""
    sent = 0

    async def endless():  # type: ignore[no-untyped-def]
        nonlocal sent
        while True:
            sent += 10
            yield b"x" * 10

    async with serving(max_body_bytes=50) as client:
        answer = await client.post("/v1/label", content=endless())
    assert (answer.status_code, reason_of(answer)) == (413, "body")
    assert sent < 200


async def test_overload_says_when_to_come_back(serving: Serving, stages: WaitingStages) -> None:
    """And what was accepted is answered."""
    stages.may.clear()
    async with serving(max_waiting_posts=2, max_request_posts=2) as client:
        asked = [asyncio.create_task(client.post("/v1/label", content=post(number))) for number in range(2)]
        while len(stages.held) < 2:
            await asyncio.sleep(0)
        refused = await client.post("/v1/label", content=post(3))
        assert (refused.status_code, reason_of(refused)) == (429, "full")
        assert int(refused.headers["retry-after"]) >= 1
        stages.may.set()
        assert [answer.status_code for answer in await asyncio.gather(*asked)] == [200, 200]


async def test_what_takes_too_long_is_given_up(serving: Serving, stages: WaitingStages) -> None:
    """After the deadline."""
    stages.may.clear()
    async with serving(deadline_seconds=0.02) as client:
        answer = await client.post("/v1/label", content=post(1))
        stages.may.set()
    assert (answer.status_code, reason_of(answer)) == (504, "deadline")


async def test_before_the_model_is_loaded_posts_are_refused_and_the_process_lives(serving: Serving) -> None:
    """Kubernetes waits for /readyz."""
    async with serving(loaded=False) as client:
        answers = [
            await client.post("/v1/label", content=post(1)),
            await client.get("/v1/model"),
            await client.get("/readyz"),
            await client.get("/livez"),
        ]
    assert [answer.status_code for answer in answers] == [503, 503, 503, 200]
    assert answers[0].headers["retry-after"] == "5"
    assert answers[2].json() == {"status": "failing", "model_loaded": False, "accepting": True}


async def test_keys_are_asked_of_what_costs_and_of_nothing_else(serving: Serving, tmp_path: Path) -> None:
    """Each way of bringing one counts; an address is no place for it."""
    key, line = new_key("shop")
    file = tmp_path / "keys"
    file.write_text(line, encoding="utf-8")
    async with serving(keys_file=str(file)) as client:
        without = await client.post("/v1/label", content=post(1))
        assert (without.status_code, reason_of(without)) == (401, "key")
        for headers in ({"authorization": f"Bearer {key}"}, {"x-api-key": key}, {"x-goog-api-key": key}):
            assert (await client.post("/v1/label", content=post(1), headers=headers)).status_code == 200
        basic = httpx.BasicAuth("anyone", key)
        assert (await client.post("/v1/label", content=post(1), auth=basic)).status_code == 200
        assert (await client.post(f"/v1/label?key={key}", content=post(1))).status_code == 401
        page = await client.get("/somewhere", headers={"accept": "text/html"})
        assert page.headers["www-authenticate"].startswith("Basic")
        for open_to_all in ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/style.css"):
            assert (await client.get(open_to_all)).status_code == 200


async def test_a_key_that_asks_too_often_waits(serving: Serving) -> None:
    """Posts count, not requests."""
    async with serving(max_posts_per_second=2) as client:
        first = await client.post("/v1/label", content=b"[" + b",".join([post(1)] * 9) + b"]")
        second = await client.post("/v1/label", content=post(1))
    assert first.status_code == 200
    assert (second.status_code, reason_of(second)) == (429, "rate")
    assert second.headers["retry-after"] == "4"


async def test_no_other_page_asks_from_a_browser_unless_it_is_named(serving: Serving) -> None:
    """CORS is off; a named origin may ask, and asks first."""
    ask = {"origin": "https://shop.example", "access-control-request-method": "POST"}
    async with serving() as client:
        assert "access-control-allow-origin" not in (await client.options("/v1/label", headers=ask)).headers
    async with serving(cors_origins=["https://shop.example"]) as client:
        allowed = await client.options("/v1/label", headers=ask)
        assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
        other = await client.options("/v1/label", headers={**ask, "origin": "https://other.example"})
        assert "access-control-allow-origin" not in other.headers


async def test_a_machine_of_ones_own_answers_to_no_other_name(serving: Serving) -> None:
    """A page of somewhere else that gives this address a name of its own is refused."""
    async with serving() as client:
        for host, status in (("localhost:8090", 200), ("[::1]:8090", 200), ("evil.example", 403), ("evil:8090", 403)):
            answer = await client.post("/v1/label", content=post(1), headers={"host": host})
            assert answer.status_code == status, host
    async with serving(public_url="https://shop.example") as client:
        assert (await client.post("/v1/label", content=post(1), headers={"host": "shop.example"})).status_code == 200
    async with serving(host="0.0.0.0") as client:  # noqa: S104 - nothing listens in this test
        assert (await client.post("/v1/label", content=post(1), headers={"host": "shop"})).status_code == 200


async def test_every_answer_carries_headers_that_keep_it_to_itself(serving: Serving) -> None:
    """Refusals too."""
    async with serving() as client:
        for answer in (await client.post("/v1/label", content=post(1)), await client.get("/nowhere")):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert (answer.status_code, reason_of(answer)) == (404, "no_such_route")


async def test_metrics_are_for_who_has_the_token(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of the worker."""
    monkeypatch.setenv("MODERATE_HTTP__TOKEN", "a token of some length")
    async with serving() as client:
        assert (await client.get("/metrics")).status_code == 401
        known = await client.get("/metrics", headers={"authorization": "Bearer a token of some length"})
        assert "moderate_http_requests_total" in known.text
        assert (await client.get("/readyz")).json() == {"status": "ok"}


async def test_explanations_and_their_limits(serving: Serving) -> None:
    """Numbers beyond the limits are refused."""
    async with serving() as client:
        answer = await client.post("/v1/explain?neighbours=2&words=0", content=post(1))
        assert answer.json() == {"id": "p-1", "neighbours": 2, "words": 0}
        refused = await client.post("/v1/explain?words=1000", content=post(1))
        assert (refused.status_code, reason_of(refused)) == (400, "request")


async def test_the_documentation_loads_nothing_from_elsewhere(serving: Serving) -> None:
    """It names every route and shape, of an OpenAPI 3.1 document."""
    async with serving() as client:
        document = (await client.get("/openapi.json")).json()
        page = await client.get("/docs")
    assert document["openapi"].startswith("3.1")
    for path in (
        "/v1/label",
        "/v1/explain",
        "/v1/model",
        "/v1alpha1/comments:analyze",
        "/livez",
        "/readyz",
        "/metrics",
    ):
        assert path in document["paths"]
        assert f"{path}</code>" in page.text
    body = document["paths"]["/v1/label"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["oneOf"][0] == {"$ref": "#/components/schemas/Post"}
    assert set(document["components"]["schemas"]) >= {"Post", "Medium", "PostAnswer", "ServedLabel", "ModelAnswer"}
    references = json.dumps(document).split('"#/components/schemas/')[1:]
    assert {one.split('"')[0] for one in references} <= set(document["components"]["schemas"])
    for outside in ("http://", "https://", "<script", "@import"):
        assert outside not in page.text.replace(ADDRESS, "")
    assert "script-src" not in page.headers["content-security-policy"]


def test_a_served_label_has_the_fields_of_a_label_but_for_its_place() -> None:
    """In the same order, with the same types."""
    fields = {name: field.annotation for name, field in Label.model_fields.items() if name != "source"}
    assert {name: field.annotation for name, field in ServedLabel.model_fields.items()} == fields
    assert list(ServedLabel.model_fields) == list(fields)


async def test_nothing_of_a_post_is_in_logs_or_metrics(
    serving: Serving, stages: WaitingStages, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever happens to it, at every level."""
    word = "xylophone"
    async with serving(deadline_seconds=0.2) as client:
        await client.post("/v1/label", content=post(1, word))
        await client.post("/v1/label", content=f'{{"{word}'.encode())
        await client.post(f"/v1/{word}", content=post(1, word))
        await client.post(
            "/v1alpha1/comments:analyze", json={"comment": {"text": word}, "requestedAttributes": {word: {}}}
        )
        stages.may.clear()
        await client.post("/v1/label", content=post(1, word))
        stages.may.set()
        metrics = await client.get("/metrics")
    said = capsys.readouterr()
    assert "answered" in said.out + said.err
    assert word not in said.out + said.err
    assert word not in metrics.text
