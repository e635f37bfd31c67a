"""The table of odd records through `moderate run`, a real Kafka and the model."""

import json

import pytest

from tests.reading.cases import BY_ITSELF
from tests.reading.test_table import CASES
from tests.worker.system import Stream, post

# What is asked for by address stands in the unit tests: there is no such host.
_FED = [case for case in CASES if case.reader is BY_ITSELF and not case.fetched and len(case.value) < 200_000]


def outcome(now: str) -> str:
    """Return where a record of the table goes; its pictures are none, which only the model's stages find out."""
    if now.startswith("text"):
        return "label"
    return "nothing" if now.startswith("passed over") else "dead letter"


@pytest.mark.soak
async def test_odd_records_are_labelled_dead_lettered_or_passed_over(stream: Stream) -> None:
    """Each as the table says, in one go, by one worker that is still there afterwards."""
    await stream.create_topics(1)
    worker = await (await stream.start()).ready()
    positions = await stream.feed([*(case.value for case in _FED), post("last", text="the end")], 1)
    await stream.settled(positions[-1:], 240)
    labels, dead = await stream.labels(), await stream.dead_letters()
    labelled = labels.by_topic[stream.label_topic("sarcasm")]
    became = {}
    for case, position in zip(_FED, positions, strict=False):
        found = ["label"] * len(labelled.get(position, ())) + ["dead letter"] * len(dead.get(position, ()))
        became[case.name] = ", ".join(found) or "nothing"
    assert became == {case.name: outcome(case.now) for case in _FED}
    for case, position in zip(_FED, positions, strict=False):
        if became[case.name] == "label" and "id" in case.reads:
            assert json.loads(labelled[position][0])["post_id"] == case.reads["id"]
    page = (await worker.get("/metrics")).text
    deleted = sum(case.now == "passed over: deletion" for case in _FED)
    others = sum(case.now == "passed over: no_post" for case in _FED)
    assert f'moderate_tombstones_total{{result="passed"}} {deleted}.0' in page
    assert f"moderate_no_posts_total {others}.0" in page
    assert 'moderate_fields_unread_total{field="created_at"} ' in page
    assert await worker.end() == 0
