"""The pipeline's flow: room, stop, errors, careful steps. Its parts are doubles that end when the test says so."""

import asyncio

import pytest

import worker.pipeline
from mmorient import ParsedMedium
from tests.worker.pipeline_parts import (
    GatedStages,
    NotingLane,
    Rig,
    ScriptedConsume,
    TrialThatFinds,
    settled_down,
    step_of,
    until,
)
from worker.errors import FatalError, PoisonError
from worker.intake.journal import Care
from worker.intake.lane import Accepted
from worker.items import State, record_bytes
from worker.rate_limit import RateLimit


@pytest.fixture
def diary() -> list[str]:
    """What happened, in order."""
    return []


def size(*steps: Accepted) -> int:
    """Return the bytes of records."""
    return sum(record_bytes(item.record) for step in steps for item in step.items)


async def test_a_commit_makes_room_at_once(diary: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With no room left, the next records are fetched when a commit is answered, not at the next sign of life."""
    monkeypatch.setattr(worker.pipeline, "_STAY_SECONDS", 3600.0)
    lane, stages = NotingLane(diary), GatedStages(diary)
    stages.gate.set()
    steps = [step_of(lane, n) for n in range(50)]
    rig = Rig(ScriptedConsume(*([step] for step in steps)), stages, max_bytes=size(*steps[:2]))
    async with rig.running():
        await until(lambda: len(rig.told.committed) == 50)
    assert rig.consume.signs_of_life == 0
    assert rig.told.committed == list(range(50))


async def test_without_room_nothing_is_fetched_and_the_group_hears_of_us(
    diary: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many bytes as there is room for are in flight; meanwhile max.poll.interval does not pass."""
    monkeypatch.setattr(worker.pipeline, "_STAY_SECONDS", 0.005)
    lane, stages = NotingLane(diary), GatedStages(diary)
    steps = [step_of(lane, n) for n in range(3)]
    rig = Rig(ScriptedConsume(*([step] for step in steps)), stages, max_bytes=size(*steps[:2]))
    async with rig.running():
        await until(lambda: rig.consume.signs_of_life >= 3)
        assert diary == ["label 0", "label 1"]
        assert len(rig.consume.rooms) == 2
        stages.gate.set()
        await until(lambda: rig.told.committed == [0, 1, 2])


async def test_full_windows_are_not_fetched_for(diary: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes are left, but no lane may take a record."""
    monkeypatch.setattr(worker.pipeline, "_STAY_SECONDS", 0.005)
    rig = Rig(ScriptedConsume(), GatedStages(diary))
    rig.consume.has_room = False
    async with rig.running():
        await until(lambda: rig.consume.signs_of_life >= 3)
        assert rig.consume.rooms == []
        rig.consume.has_room = True
        await until(lambda: rig.consume.rooms)


async def test_bytes_in_flight_take_room(diary: list[str]) -> None:
    """A fetch may bring what is left; more than that only where nothing is in flight; nothing where none is left."""
    lane, stages = NotingLane(diary), GatedStages(diary)
    large, small = step_of(lane, 0, posts=10), step_of(lane, 10)
    room = size(large, small)
    rig = Rig(ScriptedConsume([large], [small], [step_of(lane, 11)]), stages, max_in_flight=20, max_bytes=room)
    async with rig.running():
        await until(lambda: len(rig.consume.rooms) == 2)
        await settled_down()
        assert rig.consume.rooms == [(room, True), (size(small), False)]
        stages.gate.set()
        await until(lambda: len(rig.told.committed) == 12)
        # All of it is there again at the next fetch.
        rig.consume.fetches.put_nowait([])
        await until(lambda: rig.consume.rooms[-1] == (room, True))


async def test_a_rate_limit_delays_the_next_fetch(diary: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten posts at one a second: the next ten seconds bring none, though there is room."""
    monkeypatch.setattr(worker.pipeline, "_STAY_SECONDS", 0.005)
    now = 0.0
    lane, stages = NotingLane(diary), GatedStages(diary)
    stages.gate.set()
    limit = RateLimit(1.0, clock=lambda: now)
    rig = Rig(ScriptedConsume([step_of(lane, 0, posts=10)], [step_of(lane, 10)]), stages, rate_limit=limit)
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


async def test_what_is_ready_together_is_one_batch(diary: list[str]) -> None:
    """Posts of all lanes go through the model together, so many at most; who came first goes first."""
    stages = GatedStages(diary)
    lanes = [NotingLane(diary, n) for n in range(2)]
    first = step_of(lanes[0], 0)
    others = [step_of(lanes[n % 2], 10 * n, posts=3) for n in (1, 2)]
    rig = Rig(ScriptedConsume([first], others), stages, max_in_flight=1, max_posts=4)
    async with rig.running():
        stages.gate.set()
        await until(lambda: len(rig.told.committed) == 7)
    labelled = [one for one in diary if one.startswith("label")]
    assert labelled == [f"label {n}" for n in (0, 10, 11, 12, 20, 21, 22)]
    assert stages.batches == [4, 3]
    assert stages.apart == [False, False]


async def test_a_slow_picture_holds_up_its_own_lane_alone(diary: list[str]) -> None:
    """Posts of other lanes pass it by, and those behind it are labelled; none of these is committed before it."""
    stages = GatedStages(diary)
    stages.gate.set()
    slow, other = NotingLane(diary, 0), NotingLane(diary, 1)
    stages.media[0] = [ParsedMedium(url="https://pictures.example/slow")]
    rig = Rig(ScriptedConsume([step_of(slow, 0, posts=3)], [step_of(other, 10)], [step_of(other, 11)]), stages)
    async with rig.running():
        await until(lambda: rig.told.committed == [10, 11] and {"label 1", "label 2"} <= set(diary))
        stages.pictures.set()
        await until(lambda: len(rig.told.committed) == 5)
    assert rig.told.committed == [10, 11, 0, 1, 2]


async def test_stop_fetches_no_more_and_settles_what_is_worked_on(diary: list[str]) -> None:
    """`run` returns when the batches under way are committed, and not before; what waits for the model is dropped."""
    lane, stages = NotingLane(diary), GatedStages(diary)
    rig = Rig(ScriptedConsume([step_of(lane, 0, posts=4)], [step_of(lane, 4)]), stages, max_in_flight=2)
    async with rig.running() as task:
        await until(lambda: diary == ["label 0", "label 1"])
        rig.stop()
        await settled_down()
        assert not task.done()
        assert rig.told.committed == []
    assert [one for one in diary if one.startswith("label")] == ["label 0", "label 1"]
    assert rig.told.committed == [0, 1]
    assert sorted(rig.told.over) == [0, 1, 2, 3, 4]


async def test_stop_waits_for_no_picture(diary: list[str]) -> None:
    """A post that waits for its picture is dropped, and so is what is done behind it: it is read again."""
    lane, stages = NotingLane(diary), GatedStages(diary)
    stages.gate.set()
    stages.media[0] = [ParsedMedium(url="https://pictures.example/slow")]
    rig = Rig(ScriptedConsume([step_of(lane, 0, posts=2)]), stages)
    async with rig.running():
        await until(lambda: diary == ["label 1"])
        await settled_down()
    assert rig.told.committed == []
    assert sorted(rig.told.over) == [0, 1]


async def test_stop_drops_what_only_waits_for_its_turn(diary: list[str]) -> None:
    """A careful step that is not named yet is no death's suspect: it is let go, and read again after the start."""
    stages = GatedStages(diary)
    steps = [step_of(NotingLane(diary, n), n, Care.SINGLE) for n in range(3)]
    rig = Rig(ScriptedConsume(steps), stages)
    async with rig.running():
        await until(lambda: diary == ["name 0", "label 0"])
        rig.stop()
        assert [step.items[0].state is State.OVER for step in steps] == [False, True, True]
    assert diary == ["name 0", "label 0", "settle 0"]
    assert rig.told.committed == [0]
    assert sorted(rig.told.over) == [0, 1, 2]


async def test_an_error_in_a_stage_ends_all_and_commits_nothing(diary: list[str]) -> None:
    """What a stage does not know to handle is raised by `run`; nothing is settled."""
    lane, stages = NotingLane(diary), GatedStages(diary, FatalError("the device is dead"))
    rig = Rig(ScriptedConsume(*([step_of(lane, n)] for n in range(2))), stages)
    running = asyncio.create_task(rig.pipeline.run())
    await until(lambda: diary == ["label 0", "label 1"])
    stages.gate.set()
    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(running, 20)
    assert raised.group_contains(FatalError, match="the device is dead")
    assert diary == ["label 0", "label 1"]
    assert rig.told.committed == []


async def test_a_lost_lane_drops_its_own_items_alone(diary: list[str]) -> None:
    """Of a batch over two partitions the other one is committed; what was dropped is not counted, and all goes on."""
    stages = GatedStages(diary)
    stages.gate.set()
    kept, lost = NotingLane(diary, 0), NotingLane(diary, 1, fails="settle")
    dropped = step_of(lost, 10)
    rig = Rig(ScriptedConsume([step_of(kept, 0), dropped], [step_of(kept, 1)]), stages, max_posts=4)
    async with rig.running():
        await until(lambda: rig.told.committed == [0, 1])
    assert dropped.items[0].state is State.OVER
    assert sorted(rig.told.over) == [0, 1, 10]


async def test_a_lane_that_is_lost_before_the_naming_labels_nothing(diary: list[str]) -> None:
    """A record that no journal names is not touched."""
    stages = GatedStages(diary)
    step = step_of(NotingLane(diary, fails="name"), 0, Care.SINGLE)
    rig = Rig(ScriptedConsume([step]), stages)
    async with rig.running():
        await until(lambda: step.items[0].state is State.OVER)
    assert diary == []
    assert rig.told.committed == []


@pytest.mark.parametrize(("care", "together"), [(Care.STEP, 2), (Care.SINGLE, 1), (Care.TRIAL, 1)])
async def test_few_careful_steps_are_touched_at_once(diary: list[str], care: Care, together: int) -> None:
    """Two steps, or one record: a death names no more. Each is named before it is labelled."""
    stages = GatedStages(diary)
    steps = [step_of(NotingLane(diary, n), n, care) for n in range(5)]
    rig = Rig(ScriptedConsume(steps), stages, TrialThatFinds(diary))
    async with rig.running():
        await until(lambda: stages.at_once == together)
        await settled_down()
        assert len([one for one in diary if one.startswith("name")]) == together
        stages.gate.set()
        await until(lambda: len(rig.told.committed) == 5)
    assert stages.most_at_once == together
    # In calls of the model of their own.
    assert stages.apart == [True] * 5
    for number in range(5):
        did = [one.split()[0] for one in diary if one.endswith(f" {number}")]
        assert [one for one in did if one != "try"] == ["name", "label", "settle"]


async def test_careful_steps_take_no_batchs_place(diary: list[str]) -> None:
    """A partition that is gone through with care does not hold up the others."""
    stages = GatedStages(diary)
    careful = step_of(NotingLane(diary, 0), 0, Care.SINGLE)
    rig = Rig(ScriptedConsume([careful], [step_of(NotingLane(diary, 1), 10)]), stages, max_in_flight=1)
    async with rig.running():
        await until(lambda: set(diary) == {"name 0", "label 0", "label 10"})


async def test_what_kills_the_child_is_poison_and_is_not_labelled(diary: list[str]) -> None:
    """It is named, tried, and settled as a dead letter that says of what the child died."""
    stages = GatedStages(diary)
    stages.gate.set()
    step = step_of(NotingLane(diary), 0, Care.TRIAL)
    rig = Rig(ScriptedConsume([step]), stages, TrialThatFinds(diary, "SIGSEGV"))
    async with rig.running():
        await until(lambda: rig.told.committed == [0])
    assert diary == ["name 0", "try 0", "settle 0"]
    assert isinstance(step.items[0].rejection, PoisonError)
    assert "SIGSEGV" in str(step.items[0].rejection)


async def test_what_the_child_survives_is_labelled(diary: list[str]) -> None:
    """A suspicion is no proof."""
    stages = GatedStages(diary)
    stages.gate.set()
    step = step_of(NotingLane(diary), 0, Care.TRIAL)
    rig = Rig(ScriptedConsume([step]), stages, TrialThatFinds(diary))
    async with rig.running():
        await until(lambda: rig.told.committed == [0])
    assert diary == ["name 0", "try 0", "label 0", "settle 0"]
    assert step.items[0].rejection is None


async def test_what_is_condemned_is_not_even_tried(diary: list[str]) -> None:
    """Several workers have died of it alone, and the child may survive what kills a worker."""
    stages = GatedStages(diary)
    stages.gate.set()
    step = step_of(NotingLane(diary, condemned=True), 0, Care.TRIAL)
    rig = Rig(ScriptedConsume([step]), stages, TrialThatFinds(diary))
    async with rig.running():
        await until(lambda: rig.told.committed == [0])
    assert diary == ["name 0", "settle 0"]
    assert isinstance(step.items[0].rejection, PoisonError)
