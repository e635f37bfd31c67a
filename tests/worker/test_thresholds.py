"""An operator's threshold, from the setting to the record."""

import json

import pytest

from tests.worker.system import Stream, post


@pytest.mark.soak
async def test_a_threshold_reaches_the_record_of_its_task(stream: Stream) -> None:
    """The label follows it and says so, in a record of its own and in one that tasks share; the others have none."""
    shared = stream.label_topic("shared")
    own = stream.label_topic("offensiveness")
    settings = {
        "KAFKA__ROUTES": json.dumps({"offensiveness": own, "sarcasm": shared, "motivation": shared}),
        "THRESHOLDS__OFFENSIVENESS": "0.9999",
        "THRESHOLDS__SARCASM": "0.0001",
    }
    await stream.create_topics(1, **settings)
    worker = await (await stream.start(**settings)).ready()
    positions = await stream.feed(
        [post("p-1", text="those people breed like rats"), post("p-2", text="what a lovely day")], 1
    )
    await stream.settled(positions, 60)
    records = await stream.read(own, shared)
    alone, together = ([json.loads(record.value) for record in records[topic]] for topic in (own, shared))
    assert [(one["label"], one["threshold"], one["intensity"]["label"]) for one in alone] == [
        ("not_offensive", 0.9999, "not_offensive")
    ] * 2
    assert max(one["probabilities"]["offensive"] for one in alone) > 0.5
    for one in together:
        sarcasm, motivation = one["labels"]["sarcasm"], one["labels"]["motivation"]
        assert (sarcasm["label"], sarcasm["threshold"]) == ("sarcastic", 0.0001)
        assert sarcasm["intensity"]["label"] != "not_sarcastic"
        assert "threshold" not in motivation
        assert motivation["probabilities"][motivation["label"]] == max(motivation["probabilities"].values())
    assert await worker.end() == 0
