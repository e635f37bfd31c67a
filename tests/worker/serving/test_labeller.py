"""The queue in front of the stages: order, bounds, deadlines, clients that go away."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.worker.serving.stages import STAMP, WaitingStages, labeller_of, post
from worker.errors import FatalError, InvalidRecordError
from worker.policies.reading import read_policies
from worker.serving.admission import Admission
from worker.serving.errors import BrokenError, ClosingError, DeadlineError, OverloadedError
from worker.serving.labeller import Labeller
from worker.serving.shapes import PostAnswer
from worker.telemetry.metrics import sample


@asynccontextmanager
async def running(labeller: Labeller) -> AsyncIterator[Labeller]:
    """Run a labeller within the block."""
    task = asyncio.create_task(labeller.run())
    try:
        yield labeller
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


async def turns(count: int = 10) -> None:
    """Let others go on."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_an_answer_has_the_label_of_each_task_without_a_place_in_kafka() -> None:
    """All other fields are those of a label record, in their order."""
    async with running(labeller_of(WaitingStages())) as labeller:
        (answer,) = await labeller.label([post(1)])
    said = json.loads(answer.as_json())
    assert said["post_id"] == "p-1"
    assert list(said["labels"]) == ["sentiment", "sarcasm", "offensiveness"]
    sarcasm = said["labels"]["sarcasm"]
    assert list(sarcasm) == [
        *("post_id", "task", "label", "probabilities", "intensity", "modalities", "unavailable", "model", "schema")
    ]
    assert sarcasm["model"] == STAMP.model_dump()
    assert sarcasm["probabilities"] == {"not_sarcastic": 0.25, "sarcastic": 0.75}


async def test_policies_make_decisions_of_labels(tmp_path: Path) -> None:
    """As a record of decisions says them, with the policies' version, and counted; nothing is decided otherwise."""
    rule = '[[rule]]\nname = "{0}"\ntask = "sarcasm"\nlabel = "sarcastic"\nthreshold = {1}\ndecision = "{2}"\n'
    rules = rule.format("often", 0.7, "look") + rule.format("seldom", 0.8, "hide")
    (tmp_path / "ours.toml").write_text(rules, encoding="utf-8")
    policies = read_policies(tmp_path)
    before = sample("moderate_decisions_total", rule="often", decision="look")
    async with running(labeller_of(WaitingStages(), policies=policies)) as labeller:
        decided, refused = await labeller.label([post(1), b"nonsense"])
        (plain,) = await labeller.label([post(1)], decided=False)
        (uncounted,) = await labeller.label([post(1)], counted=False)
    assert uncounted.decisions == decided.decisions
    said = PostAnswer.model_validate_json(decided.as_json())
    assert said.policy is not None
    assert said.policy.version == policies.version
    assert json.loads(decided.as_json())["decisions"] == [
        {
            "decision": "look",
            "rule": "often",
            "task": "sarcasm",
            "label": "sarcastic",
            "probability": 0.75,
            "threshold": 0.7,
        }
    ]
    assert "decisions" not in json.loads(plain.as_json())
    assert "decisions" not in json.loads(refused.as_json())
    assert sample("moderate_decisions_total", rule="often", decision="look") == before + 1


async def test_a_post_that_cannot_be_read_costs_its_neighbours_nothing() -> None:
    """It is answered with the stage and the reason that its dead letter would carry, in its place."""
    async with running(labeller_of(WaitingStages())) as labeller:
        answers = await labeller.label([post(1), b"nonsense", post(3)])
    assert [answer.post_id for answer in answers] == ["p-1", None, "p-3"]
    assert json.loads(answers[1].as_json()) == {
        "post_id": None,
        "error": {"stage": "decode", "reason": "no_json", "message": "record: is no JSON"},
    }


async def test_while_the_model_is_at_work_posts_of_many_requests_wait_for_one_batch() -> None:
    """The oldest go first, and no more together than a batch may hold."""
    stages = WaitingStages()
    stages.may.clear()
    async with running(labeller_of(stages, max_posts=4)) as labeller:
        asked = []
        for number in range(9):
            asked.append(asyncio.create_task(labeller.label([post(number)])))
            await turns()
        stages.may.set()
        await asyncio.gather(*asked)
    assert [name for batch in stages.batches for name in batch] == [f"p-{number}" for number in range(9)]
    assert [len(batch) for batch in stages.batches] == [1, 1, 4, 3]
    assert not stages.held


@pytest.mark.parametrize(
    ("bounds", "words"), [({"max_waiting_posts": 3}, "3 posts"), ({"max_waiting_bytes": 110}, "3")]
)
async def test_what_is_more_than_may_wait_is_refused_at_once(bounds: dict[str, int], words: str) -> None:
    """Nothing of it is kept, and what was accepted is answered."""
    stages = WaitingStages()
    stages.may.clear()
    async with running(labeller_of(stages, **bounds)) as labeller:
        asked = [asyncio.create_task(labeller.label([post(number)])) for number in range(3)]
        await turns()
        held = len(stages.held)
        with pytest.raises(OverloadedError, match=words) as refused:
            await labeller.label([post(4)])
        assert refused.value.reason == "full"
        assert refused.value.retry_after_seconds >= 1
        assert len(stages.held) == held
        stages.may.set()
        await asyncio.gather(*asked)
        await labeller.label([post(5)])


async def test_what_could_not_be_done_in_time_is_refused_before_it_waits() -> None:
    """The time of the last batches says so; the answer says when to come back."""
    now = 0.0
    admission = Admission(max_posts=100, max_bytes=10_000, clock=lambda: now)
    now = 10.0
    admission.note(10, started=0.0, max_posts=10, deadline_seconds=10.0)
    with admission.admitted(4, 1, deadline_seconds=10.0):
        # Six posts take six seconds: too near to the deadline for batches, which differ.
        with (
            pytest.raises(OverloadedError, match=r"6\.0 s") as refused,
            admission.admitted(2, 1, deadline_seconds=10.0),
        ):
            pass
        assert (refused.value.reason, refused.value.retry_after_seconds) == ("late", 1)
        with admission.admitted(1, 1, deadline_seconds=10.0):
            assert admission.posts == 5
    assert admission.posts == 0


def test_one_slow_batch_does_not_have_posts_refused_for_ever() -> None:
    """Only few are accepted after it, and so their batches count, small as they are; else a small one says nothing."""
    now = 0.0
    admission = Admission(max_posts=100, max_bytes=10_000, clock=lambda: now)

    def fits(posts: int) -> bool:
        try:
            with (
                admission.admitted(1, 1, deadline_seconds=10.0),
                admission.admitted(posts - 1, 1, deadline_seconds=10.0),
            ):
                return True
        except OverloadedError:
            return False

    def note(posts: int, seconds: float) -> None:
        nonlocal now
        now += seconds
        admission.note(posts, started=now - seconds, max_posts=64, deadline_seconds=10.0)

    note(64, 6.4)
    assert fits(50)
    assert not fits(51)
    note(1, 9.0)
    assert fits(50)
    note(64, 6400.0)
    assert not fits(2)
    for _ in range(40):
        # Half of what may wait is in a batch, and half waits for it.
        batch = max(1, next(number for number in range(1, 101) if not fits(number + 1)) // 2)
        note(batch, 0.1 * batch)
    assert fits(40)
    assert not fits(80)


async def test_how_fast_the_model_is_is_known_before_anybody_asks() -> None:
    """The first burst is refused as any other."""
    stages = WaitingStages(0.02)
    labeller = labeller_of(stages, max_posts=8, deadline_seconds=0.4)
    await labeller.try_out()
    assert [len(batch) for batch in stages.batches] == [8]
    async with running(labeller):
        asked = await asyncio.gather(*(labeller.label([post(number)]) for number in range(50)), return_exceptions=True)
    refused = [one for one in asked if isinstance(one, OverloadedError)]
    assert 35 <= len(refused) <= 45
    assert not stages.held


async def test_what_nobody_waits_for_never_reaches_the_model() -> None:
    """Its deadline passed, or its client went away; neither is kept."""
    stages = WaitingStages()
    stages.may.clear()
    late, gone = (
        sample("moderate_serving_dropped_total", reason="deadline"),
        sample("moderate_serving_dropped_total", reason="gone"),
    )
    async with running(labeller_of(stages, max_posts=1)) as labeller:
        first = [asyncio.create_task(labeller.label([post(number)])) for number in (1, 2)]
        await turns()
        with pytest.raises(DeadlineError):
            await labeller.label([post(3)], deadline_seconds=0.01)
        client = asyncio.create_task(labeller.label([post(4)]))
        await turns()
        client.cancel()
        await turns()
        stages.may.set()
        await asyncio.gather(*first)
        await labeller.label([post(5)])
    assert stages.batches == [["p-1"], ["p-2"], ["p-5"]]
    assert not stages.held
    assert sample("moderate_serving_dropped_total", reason="deadline") == late + 1
    assert sample("moderate_serving_dropped_total", reason="gone") == gone + 1


async def test_draining_answers_what_was_accepted_and_refuses_the_rest() -> None:
    """Then the run ends by itself."""
    stages = WaitingStages()
    stages.may.clear()
    labeller = labeller_of(stages)
    run = asyncio.create_task(labeller.run())
    accepted = asyncio.create_task(labeller.label([post(1)]))
    await turns()
    draining = asyncio.create_task(labeller.drain())
    await turns()
    assert not labeller.is_open
    with pytest.raises(ClosingError):
        await labeller.label([post(2)])
    stages.may.set()
    await draining
    await run
    assert (await accepted)[0].labels


async def test_a_model_that_breaks_ends_the_run_and_every_request() -> None:
    """Nobody waits for an answer that cannot come."""
    stages = WaitingStages(error=FatalError("the device no longer works"))
    labeller = labeller_of(stages)
    run = asyncio.create_task(labeller.run())
    with pytest.raises(BrokenError):
        await labeller.label([post(1)])
    with pytest.raises(ExceptionGroup):
        await run
    with pytest.raises(ClosingError):
        await labeller.label([post(2)])


async def test_a_device_that_dies_over_an_explanation_ends_the_run() -> None:
    """As over a batch."""
    stages = WaitingStages(error=FatalError("the device no longer works"))
    labeller = labeller_of(stages)
    run = asyncio.create_task(labeller.run())
    await turns()
    with pytest.raises(BrokenError):
        await labeller.explain(post(1))
    with pytest.raises(ExceptionGroup):
        await run


async def test_explanations_wait_in_a_bound_of_their_own() -> None:
    """Each costs the model as much as many posts; one of a post without labels says why."""
    stages = WaitingStages()
    stages.may.clear()
    async with running(labeller_of(stages, max_explanations=1)) as labeller:
        asked = asyncio.create_task(labeller.explain(post(1), words=2))
        await turns()
        with pytest.raises(OverloadedError):
            await labeller.explain(post(2))
        stages.may.set()
        assert await asked == {"id": "p-1", "neighbours": 5, "words": 2}
        with pytest.raises(InvalidRecordError, match="no JSON"):
            await labeller.explain(b"nonsense")
    assert not stages.held
