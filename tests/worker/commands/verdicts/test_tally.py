"""What people say of each label, once each of them is counted once."""

from datetime import UTC, datetime
from typing import Literal

from schemas import Source, Verdict
from worker.broker.positions import Position
from worker.commands.verdicts.tally import tally


def said(by: str, says: str, offset: int = 1, task: str = "sarcasm") -> Verdict:
    """Return a verdict on a label that the model called sarcastic."""
    agrees: Literal["agree", "disagree"] = "agree" if says == "sarcastic" else "disagree"
    return Verdict(
        post_id=f"p-{offset}",
        task=task,
        label="sarcastic",
        probability=0.9,
        verdict=agrees,
        says=says,
        by=by,
        at=datetime(2026, 11, 20, tzinfo=UTC),
        post=Source(topic="posts", partition=0, offset=offset),
        checkpoint="sha256:" + "1" * 64,
    )


def test_the_last_word_of_each_person_counts() -> None:
    """Whoever changes their mind is not counted twice."""
    counted = tally([said("ana", "sarcastic"), said("ana", "not_sarcastic")])
    assert counted.posts[Position("posts", 0, 1)].labels == {"sarcasm": "not_sarcastic"}
    assert (counted.people, counted.verdicts, counted.disputed) == (1, 1, 0)


def test_the_label_of_more_people_counts_and_none_where_they_are_as_many() -> None:
    """A dispute teaches nothing."""
    counted = tally([
        said("ana", "sarcastic"), said("ben", "sarcastic"), said("cleo", "not_sarcastic"),
        said("ana", "sarcastic", 2), said("ben", "not_sarcastic", 2),
    ])  # fmt: skip
    assert {position.offset: judged.labels for position, judged in counted.posts.items()} == {
        1: {"sarcasm": "sarcastic"}
    }
    assert (counted.people, counted.verdicts, counted.disputed) == (3, 5, 1)


def test_tasks_of_a_post_are_counted_apart() -> None:
    """One row holds them all."""
    counted = tally([said("ana", "sarcastic"), said("ana", "positive", task="sentiment")])
    (judged,) = counted.posts.values()
    assert (judged.post_id, judged.labels) == ("p-1", {"sarcasm": "sarcastic", "sentiment": "positive"})
