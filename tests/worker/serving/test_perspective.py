"""Perspective's request and answer shapes, and its errors."""

from typing import Any

import httpx
import pytest

from tests.worker.serving.conftest import Serving
from worker.serving.perspective import known_attributes
from worker.serving.perspective_request import sentences

PATH = "/v1alpha1/comments:analyze"
_ERROR = "type.googleapis.com/google.commentanalyzer.v1alpha1.Error"


def request(text: str = "hello there", *attributes: str, **fields: Any) -> dict[str, Any]:
    """Return a request."""
    return {
        "comment": {"text": text},
        "requestedAttributes": {one: {} for one in attributes or ("TOXICITY",)},
        **fields,
    }


async def test_an_answer_has_their_shape(serving: Serving) -> None:
    """Each attribute has a summary, and one span over the whole comment."""
    asked = request("hello there", "OFFENSIVENESS", "SARCASM", "SENTIMENT_NEGATIVE", "TOXICITY")
    async with serving() as client:
        answer = await client.post(PATH, json=asked | {"languages": ["en-GB"], "clientToken": "t-1"})
    assert answer.status_code == 200
    said = answer.json()
    values = {name: scores["summaryScore"] for name, scores in said.pop("attributeScores").items()}
    assert values == {
        "OFFENSIVENESS": {"value": 0.1, "type": "PROBABILITY"},
        "SARCASM": {"value": 0.75, "type": "PROBABILITY"},
        "SENTIMENT_NEGATIVE": {"value": 0.2, "type": "PROBABILITY"},
        "TOXICITY": {"value": 0.1, "type": "PROBABILITY"},
    }
    assert said == {"languages": ["en"], "clientToken": "t-1"}


async def test_sentences_are_scored_by_themselves_where_they_are_asked_for(serving: Serving) -> None:
    """Places are counted in characters."""
    async with serving() as client:
        whole = await client.post(PATH, json=request("One. Two!"))
        parts = await client.post(PATH, json=request("One. Two!", spanAnnotations=True))
    spans = [
        [(span["begin"], span["end"]) for span in answer.json()["attributeScores"]["TOXICITY"]["spanScores"]]
        for answer in (whole, parts)
    ]
    assert spans == [[(0, 9)], [(0, 4), (5, 9)]]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("  ...  ", []),
        ("No end", ["No end"]),
        ("A first.  A second?! And\na third", ["A first.", "A second?!", "And", "a third"]),
        (" " * 100_000, []),
        ("a." * 500, None),
    ],
)
def test_sentences(text: str, found: list[str] | None) -> None:
    """Blanks belong to none; there is a bound to how many there are."""
    spans = sentences(text)
    if found is None:
        assert len(spans) == 50
        assert spans[-1][1] == len(text)
    else:
        assert [text[begin:end] for begin, end in spans] == found


async def test_what_is_below_its_threshold_is_left_out(serving: Serving) -> None:
    """As theirs did."""
    asked = request() | {
        "requestedAttributes": {"SARCASM": {"scoreThreshold": 0.7}, "TOXICITY": {"scoreThreshold": 0.7}}
    }
    async with serving() as client:
        answer = await client.post(PATH, json=asked)
    assert list(answer.json()["attributeScores"]) == ["SARCASM"]


async def test_names_with_underscores_are_read_too(serving: Serving) -> None:
    """Their service read both, and some clients write these."""
    async with serving() as client:
        answer = await client.post(
            PATH, json={"comment": {"text": "hi"}, "requested_attributes": {"SARCASM": {"score_threshold": 0.9}}}
        )
    assert (answer.status_code, answer.json()) == (200, {})


async def test_markup_is_not_read(serving: Serving) -> None:
    """Of HTML what a browser would show counts."""
    async with serving() as client:
        asked = request() | {"comment": {"text": "<b>a&amp;b</b><script>c</script>", "type": "HTML"}}
        span = (await client.post(PATH, json=asked)).json()["attributeScores"]["TOXICITY"]["spanScores"][0]
    assert (span["begin"], span["end"]) == (0, 3)


@pytest.mark.parametrize(
    ("asked", "message", "details"),
    [
        (request(" "), "Comment must be non-empty.", [{"@type": _ERROR, "errorType": "COMMENT_EMPTY"}]),
        (request("hi", "INSULT"), "Unknown requested attribute: INSULT; known are OFFENSIVENESS", None),
        ({"comment": {"text": "hi"}}, "At least one attribute must be requested", None),
        (request("hi") | {"requestedAttributes": {"TOXICITY": {"scoreType": "STD_DEV_SCORE"}}}, "PROBABILITY", None),
        (request("hi") | {"comment": {"text": 7}}, "comment.text", None),
        (
            request("hallo", languages=["de"]),
            "Attribute TOXICITY does not support request languages: de",
            [
                {
                    "@type": _ERROR,
                    "errorType": "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE",
                    "languageNotSupportedByAttributeError": {"requestedLanguages": ["de"], "attribute": "TOXICITY"},
                }
            ],
        ),
    ],
)
async def test_errors_are_theirs(serving: Serving, asked: Any, message: str, details: Any) -> None:
    """Code, status, and details where they have a name."""
    async with serving() as client:
        answer = await client.post(PATH, json=asked)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert message in error["message"]
    assert error.get("details") == details


async def test_refusals_of_the_gate_have_their_shape_here(serving: Serving) -> None:
    """Their clients read no other."""
    async with serving(max_posts_per_second=1) as client:
        await client.post(PATH, json=request())
        await client.post(PATH, json=request())
        answer = await client.post(PATH, json=request())
    assert (answer.status_code, answer.json()["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert "retry-after" in answer.headers
    async with serving(loaded=False) as client:
        answer = await client.post(PATH, json=request())
    assert (answer.status_code, answer.json()["error"]["status"]) == (503, "UNAVAILABLE")


async def test_a_language_that_is_not_known_may_be_passed_over(serving: Serving) -> None:
    """Where the request says so; no score is made up."""
    async with serving() as client:
        answer = await client.post(PATH, json=request(languages=["fr"], dropUnsupportedAttributes=True))
    assert (answer.status_code, answer.json()) == (200, {"languages": ["fr"]})


async def test_toxicity_can_be_switched_off(serving: Serving) -> None:
    """It is an alias, and some would rather have none."""
    async with serving(toxicity=False) as client:
        answer = await client.post(PATH, json=request("hi", "TOXICITY"))
    assert answer.status_code == 400
    assert "TOXICITY" not in known_attributes(["offensiveness"], toxicity=False)
    assert known_attributes(["sarcasm"], toxicity=True).keys() == {"SARCASM"}


async def test_nothing_is_learned_from_requests(serving: Serving) -> None:
    """The other method of theirs says so."""
    async with serving() as client:
        answer = await client.post("/v1alpha1/comments:suggestscore", json={})
    assert (answer.status_code, answer.json()["error"]["status"]) == (501, "UNIMPLEMENTED")


async def test_the_discovery_document_names_the_address_of_the_request(serving: Serving) -> None:
    """Or the one that a proxy has."""
    address = "/$discovery/rest?version=v1alpha1"
    async with serving() as client:
        assert (await client.get(address)).json()["rootUrl"] == "http://127.0.0.1:8090/"
    async with serving(public_url="https://moderation.example/api") as client:
        found: httpx.Response = await client.get(address)
        assert found.json()["rootUrl"] == "https://moderation.example/api/"
