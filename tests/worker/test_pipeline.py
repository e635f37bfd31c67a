"""The pipeline's flow: room, stop, errors, careful steps. Its parts are doubles that end when the test says so."""

import asyncio

import pytest

import worker.pipeline
from tests.worker.pipeline_parts import (
    GatedStages,
    NotingLane,
    Rig,
    ScriptedConsume,
    TrialThatFinds,
    settled_down,
    slice_of,
    until,
)
from worker.errors import FatalError, PoisonError
from worker.intake.journal import Care
from worker.rate_limit import RateLimit


@pytest.fixture
def diary() -> list[str]:
    """What happened, in order."""
    return []


async def test_a_batch_that_ends_makes_room_at_once(diary: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With all places taken, the next batch is fetched when one is free, not at the next sign of life."""
    monkeypatch.setattr(worker.pipeline, "_STAY_SECONDS", 3600.0)
    lane, stages = NotingLane(diary), GatedStages(diary)
    stages.gate.set()
    rig = Rig(ScriptedConsume(*([slice_of(lane, n)] for n in range(50))), stages, max_in_flight=2)
    async with rig.running():
        await until(lambda: len(rig.told.committed) == 50)
    assert rig.consume.signs_of_life == 0
    assert stages.most_at_once == 2


async def test_without_room_nothing_is_fetched_and_the_group_hears_of_us(
    diary: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many batches as there are places are under way; meanwhile max.poll.interval does not pass."""
    monkeypatch.setattr(worker.pipeline, "_STAY_SECONDS", 0.005)
    lane, stages = NotingLane(diary), GatedStages(diary)
    rig = Rig(ScriptedConsume(*([slice_of(lane, n)] for n in range(3))), stages, max_in_flight=2)
    async with rig.running():
        await until(lambda: rig.consume.signs_of_life >= 3)
        assert diary == ["label 0", "label 1"]
        assert len(rig.consume.rooms) == 2
        stages.gate.set()
        await until(lambda: rig.told.committed == [0, 1, 2])


async def test_bytes_in_flight_take_room(diary: list[str]) -> None:
    """A fetch may bring what is left; more than that only where nothing is in flight; nothing where none is left."""
    lane, stages = NotingLane(diary), GatedStages(diary)
    large, small = slice_of(lane, 0, posts=10), slice_of(lane, 10)
    room = large.size + small.size
    rig = Rig(ScriptedConsume([large], [small], [slice_of(lane, 11)]), stages, max_in_flight=10, max_bytes=room)
    async with rig.running():
        await until(lambda: len(rig.consume.rooms) == 2)
        await settled_down()
        assert rig.consume.rooms == [(room, True), (small.size, False)]
        stages.gate.set()
        await until(lambda: len(rig.told.committed) == 12)
        # All of it is there again at the next fetch.
        rig.consume.batches.put_nowait([])
        await until(lambda: rig.consume.rooms[-1] == (room, True))


async def test_a_rate_limit_delays_the_next_fetch(diary: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten posts at one a second: the next ten seconds bring none, though there is room."""
    monkeypatch.setattr(worker.pipeline, "_STAY_SECONDS", 0.005)
    now = 0.0
    lane, stages = NotingLane(diary), GatedStages(diary)
    stages.gate.set()
    limit = RateLimit(1.0, clock=lambda: now)
    rig = Rig(ScriptedConsume([slice_of(lane, 0, posts=10)], [slice_of(lane, 10)]), stages, rate_limit=limit)
    async with rig.running():
        await until(lambda: rig.consume.signs_of_life >= 3)
        assert len(rig.consume.rooms) == 1
        now = 9.5
        await settled_down()
        assert len(rig.consume.rooms) == 1
        now = 10.0
        await until(lambda: 10 in rig.told.committed)
        # So that the limit does not delay the end.
        now = 1000.0


async def test_stop_fetches_no_more_and_settles_what_is_in_flight(diary: list[str]) -> None:
    """`run` returns when the batches under way are committed, and not before."""
    lane, stages = NotingLane(diary), GatedStages(diary)
    rig = Rig(ScriptedConsume([slice_of(lane, 0)], [slice_of(lane, 1)], [slice_of(lane, 2)]), stages, max_in_flight=2)
    async with rig.running() as task:
        await until(lambda: diary == ["label 0", "label 1"])
        rig.stop()
        await settled_down()
        assert not task.done()
        assert rig.told.committed == []
    assert diary == ["label 0", "label 1", "settle 0", "settle 1"]
    assert rig.told.committed == rig.told.over == [0, 1]


async def test_stop_drops_what_only_waits_for_its_turn(diary: list[str]) -> None:
    """A careful slice that is not named yet is no death's suspect: it is let go, and read again after the start."""
    lane, stages = NotingLane(diary), GatedStages(diary)
    pieces = [slice_of(lane, n, Care.SINGLE) for n in range(3)]
    rig = Rig(ScriptedConsume(pieces), stages)
    async with rig.running():
        await until(lambda: diary == ["name 0", "label 0"])
        rig.stop()
        assert [piece.done.done() and piece.done.result() for piece in pieces] == [False] * 3
        assert pieces[1].done.done()
        assert not pieces[0].done.done()
    assert diary == ["name 0", "label 0", "settle 0"]
    assert rig.told.committed == [0]
    assert sorted(rig.told.over) == [0, 1, 2]


async def test_an_error_in_a_stage_ends_all_and_commits_nothing(diary: list[str]) -> None:
    """What a stage does not know to handle is raised by `run`; no slice is settled, each is let go of."""
    lane, stages = NotingLane(diary), GatedStages(diary, FatalError("the device is dead"))
    pieces = [slice_of(lane, n) for n in range(2)]
    rig = Rig(ScriptedConsume(*([piece] for piece in pieces)), stages)
    running = asyncio.create_task(rig.pipeline.run())
    await until(lambda: diary == ["label 0", "label 1"])
    stages.gate.set()
    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(running, 20)
    assert raised.group_contains(FatalError, match="the device is dead")
    assert diary == ["label 0", "label 1"]
    assert [piece.done.result() for piece in pieces] == [False, False]
    assert rig.told.committed == []
    assert sorted(rig.told.over) == [0, 1]


async def test_a_lost_lane_drops_its_slice_alone(diary: list[str]) -> None:
    """Of a batch over two partitions the other one is committed; what was dropped is not counted, and all goes on."""
    stages = GatedStages(diary)
    stages.gate.set()
    kept, lost = NotingLane(diary, 0), NotingLane(diary, 1, fails="settle")
    dropped = slice_of(lost, 10)
    rig = Rig(ScriptedConsume([slice_of(kept, 0), dropped], [slice_of(kept, 1)]), stages)
    async with rig.running():
        await until(lambda: rig.told.committed == [0, 1])
    assert not dropped.done.result()
    assert sorted(rig.told.over) == [0, 1, 10]


async def test_a_lane_that_is_lost_before_the_naming_labels_nothing(diary: list[str]) -> None:
    """A record that no journal names is not touched."""
    stages = GatedStages(diary)
    piece = slice_of(NotingLane(diary, fails="name"), 0, Care.SINGLE)
    rig = Rig(ScriptedConsume([piece]), stages)
    async with rig.running():
        await until(piece.done.done)
    assert diary == []
    assert rig.told.committed == []


@pytest.mark.parametrize(("care", "together"), [(Care.STEP, 2), (Care.SINGLE, 1), (Care.TRIAL, 1)])
async def test_few_careful_slices_are_touched_at_once(diary: list[str], care: Care, together: int) -> None:
    """Two steps, or one record: a death names no more. Each is named before it is labelled."""
    stages = GatedStages(diary)
    pieces = [slice_of(NotingLane(diary, n), n, care) for n in range(5)]
    rig = Rig(ScriptedConsume(pieces), stages, TrialThatFinds(diary))
    async with rig.running():
        await until(lambda: stages.at_once == together)
        await settled_down()
        assert len([one for one in diary if one.startswith("name")]) == together
        stages.gate.set()
        await until(lambda: len(rig.told.committed) == 5)
    assert stages.most_at_once == together
    for number in range(5):
        steps = [one.split()[0] for one in diary if one.endswith(f" {number}")]
        assert [step for step in steps if step != "try"] == ["name", "label", "settle"]


async def test_careful_slices_take_no_batchs_place(diary: list[str]) -> None:
    """A partition that is gone through with care does not hold up the others."""
    stages = GatedStages(diary)
    careful = slice_of(NotingLane(diary, 0), 0, Care.SINGLE)
    rig = Rig(ScriptedConsume([careful], [slice_of(NotingLane(diary, 1), 10)]), stages, max_in_flight=1)
    async with rig.running():
        await until(lambda: set(diary) == {"name 0", "label 0", "label 10"})


async def test_what_kills_the_child_is_poison_and_is_not_labelled(diary: list[str]) -> None:
    """It is named, tried, and settled as a dead letter that says of what the child died."""
    stages = GatedStages(diary)
    stages.gate.set()
    piece = slice_of(NotingLane(diary), 0, Care.TRIAL)
    rig = Rig(ScriptedConsume([piece]), stages, TrialThatFinds(diary, "SIGSEGV"))
    async with rig.running():
        await until(lambda: rig.told.committed == [0])
    assert diary == ["name 0", "try 0", "settle 0"]
    assert isinstance(piece.items[0].rejection, PoisonError)
    assert "SIGSEGV" in str(piece.items[0].rejection)


async def test_what_the_child_survives_is_labelled(diary: list[str]) -> None:
    """A suspicion is no proof."""
    stages = GatedStages(diary)
    stages.gate.set()
    piece = slice_of(NotingLane(diary), 0, Care.TRIAL)
    rig = Rig(ScriptedConsume([piece]), stages, TrialThatFinds(diary))
    async with rig.running():
        await until(lambda: rig.told.committed == [0])
    assert diary == ["name 0", "try 0", "label 0", "settle 0"]
    assert piece.items[0].rejection is None


async def test_what_is_condemned_is_not_even_tried(diary: list[str]) -> None:
    """Several workers have died of it alone, and the child may survive what kills a worker."""
    stages = GatedStages(diary)
    stages.gate.set()
    piece = slice_of(NotingLane(diary, condemned=True), 0, Care.TRIAL)
    rig = Rig(ScriptedConsume([piece]), stages, TrialThatFinds(diary))
    async with rig.running():
        await until(lambda: rig.told.committed == [0])
    assert diary == ["name 0", "settle 0"]
    assert isinstance(piece.items[0].rejection, PoisonError)
