"""The chaos runner on three brokers, and beside the peers: its plans, and a short real run."""

from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.plan import CLUSTER_FAMILIES, CLUSTER_KINDS, FAMILIES, PLAIN_KINDS, make_plan
from tests.chaos.progress import Sample, Span, stall_after
from tests.chaos.settings import Settings
from tests.chaos.subjects import PEERS, SIMULATED, SUBJECTS, subject
from tests.chaos.test_chaos import run_chaos
from tests.worker.system import Servers, Stream


@pytest.mark.parametrize("seed", range(20))
def test_a_lost_broker_comes_back_before_the_next_one_is_broken(seed: int) -> None:
    """Each plan of three brokers kills one, alone or beside workers and Redis, and mends it in the next round."""
    rounds = make_plan(seed, 1.5, CLUSTER_KINDS)
    kinds = Counter(step.kind for steps in rounds for step in steps)
    assert kinds["broker-lost"] >= 1
    assert kinds["broker-back"] == kinds["broker-lost"]
    for steps, following in zip(rounds, [*rounds[1:], ()], strict=True):
        broken = [step.kind for step in steps if step.family == "broker"]
        assert len(broken) <= 1
        if "broker-lost" in broken:
            assert [step.kind for step in following] == ["broker-back"]


def test_one_broker_has_no_fault_of_several_and_the_other_way_round() -> None:
    """One that is alone is not lost; one of several is never all of them."""
    assert not CLUSTER_FAMILIES.keys() & {step.kind for steps in make_plan(3, 3) for step in steps}
    assert not CLUSTER_KINDS & {"broker-kill", "broker-pause", "broker-restart"}
    assert Settings(seed=1, brokers=3).kinds == CLUSTER_KINDS
    assert Settings(seed=1).kinds == set(FAMILIES)


def test_an_outage_that_blinds_the_watch_is_no_recovery() -> None:
    """While no broker answers there are no samples: the stall lasts at least until the first one."""
    seen = [Sample(float(at), {0: 100}, {0: done}) for at, done in ((0, 5), (11, 6), (12, 7), (13, 8), (14, 9))]
    assert stall_after(seen, Span(0.5, 0.5), []) == 11.5


def test_chosen_faults_are_dealt_alone() -> None:
    """`--fault` picks kinds; those that nobody knows are refused."""
    assert Settings(seed=1, brokers=3, only=("broker-lost",)).kinds == {"broker-lost"}
    with pytest.raises(ValueError, match="unknown kinds of faults: flood"):
        make_plan(1, 1, {"flood"})


def test_the_worker_and_its_peers_meet_the_same_faults() -> None:
    """One seed gives all of them one plan: faults of workers and broker, none of Redis, which no peer uses."""
    plans = {name: make_plan(24, 3, Settings(seed=24, subject=name).kinds) for name in (SIMULATED, *PEERS)}
    assert len(plans) >= 5
    assert all(plan == plans[SIMULATED] for plan in plans.values())
    kinds = {step.kind for steps in plans[SIMULATED] for step in steps}
    assert kinds <= PLAIN_KINDS
    assert {"worker-kill", "worker-pause", "broker-kill"} <= kinds
    assert not any(FAMILIES[kind] == "redis" for kind in kinds)


def test_the_simulated_worker_is_the_shipped_one_but_for_its_device(tmp_path: Path) -> None:
    """It reads what the run's own worker reads, and keeps the sandbox, the journal and the transactions."""
    stream = Stream(Servers("k:1,l:2", "redis://r"), "s", tmp_path, None)  # type: ignore[arg-type]
    shipped, simulated = (subject(name, stream, "127.0.0.1:53") for name in ("worker", SIMULATED))
    assert simulated.command[-2:] == ("bench.simulated_worker", "run")
    left, right = shipped.environment(), simulated.environment()
    differing = {name for name in left.keys() | right.keys() if left.get(name) != right.get(name)}
    assert differing == {"SIMULATED_DEVICE", "TEST_HARMLESS", "MODERATE_MEDIA__SANDBOX", "MODERATE_HTTP__PORT"}
    assert set(SUBJECTS) >= {SIMULATED, *PEERS, "worker"}


@pytest.mark.timeout(1000)
@pytest.mark.soak
def test_one_broker_of_three_dies_and_nothing_is_lost(tmp_path: Path) -> None:
    """The others take over: every post once, the same bytes as in a quiet run, all partitions moving again."""
    arguments = ("--seed", "3", "--minutes", "0.8", "--rate", "15", "--poison", "0", "--brokers", "3")
    _, report, said = run_chaos(tmp_path / "report.json", *arguments)
    assert report["kinds"]["broker-lost"]["count"] >= 1, said
    assert report["kinds"]["broker-lost"]["unrecovered"] == 0, said
    assert report["clean"], said
    assert report["counts"]["fed"] > 300
