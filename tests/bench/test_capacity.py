"""The model of capacity finds the costs of a made-up machine, says its errors, and plans in whole things."""

import json
from pathlib import Path

import pytest

from bench.capacity.__main__ import RATES, model_of
from bench.capacity.fitting import Mix, fit, misses
from bench.capacity.planning import Wishes, measured_of, plan
from bench.capacity.showing import REMEDIES, show
from bench.figures import RESULTS
from bench.scaling import plot, render
from tests.bench import growth_figures
from tests.bench.growth_figures import BASE, BUSY, NEW, PICTURE, TEXT, TRANSACTION

MIX = Mix(100, 0.1, 0.3, 40)


def test_the_costs_of_a_machine_are_found() -> None:
    """Every term comes out as it was put in, and so does the share of a core that a process gives."""
    model = fit(growth_figures.growth())
    wanted = {"base": BASE, "text": TEXT, "picture": PICTURE, "new": NEW, "transaction": TRANSACTION}
    assert model.weights["processor_us"] == pytest.approx(wanted, rel=1e-6)
    assert model.busy == pytest.approx(BUSY)
    cost = BASE + TEXT + PICTURE * 0.1 + NEW * 0.7 + TRANSACTION / 40
    assert model.cost_us("processor_us", MIX) == pytest.approx(cost)
    assert model.rate(MIX) == pytest.approx(BUSY * 1e6 / cost)


def test_pictures_are_given_cores_beside_the_process() -> None:
    """Where pictures are decoded on a core and a half, the rate of a mixture follows, though its cost is the same."""
    growth = growth_figures.growth()
    for point in growth["points"]:
        for turn in point.get("turns", ()):
            pictures = PICTURE * turn["pictures"]
            turn["posts_a_second"] = 1e6 / ((turn["processor_us"] - pictures) / BUSY + pictures / 1.5)
    model = fit(growth)
    assert (model.busy, model.beside) == pytest.approx((BUSY, 1.5))
    assert max(abs(one.error) for one in misses(growth, model)) < 1e-6
    assert model.rate(MIX) > BUSY * 1e6 / model.cost_us("processor_us", MIX)


def test_errors_are_those_on_points_that_were_not_fitted() -> None:
    """Where held-out points cost a quarter more than the rule says, the model is a fifth too low, and says so."""
    growth = growth_figures.growth(held_out_off=1.25)
    found = [one for one in misses(growth, fit(growth)) if one.figure == "processor_us"]
    assert [one.at for one in found] == [1, 2, 3]
    assert [one.error for one in found] == pytest.approx([-0.2] * 3)
    assert "(-20%)" in show(model_of(growth, MIX, Wishes(), RATES))


def test_no_term_is_negative() -> None:
    """A cost that falls with the length of texts is noise: the term is left out."""
    growth = growth_figures.growth()
    for point in growth["points"]:
        for turn in point.get("turns", ()):
            turn["broker_us"] = 500 - turn["characters"] / 10
    weights = fit(growth).weights["broker_us"]
    assert weights["text"] == 0
    assert min(weights.values()) >= 0


def test_too_few_turns_are_refused() -> None:
    """Four turns cannot fit five terms; figures without a single partition give no plan."""
    growth = growth_figures.growth()
    with pytest.raises(ValueError, match="4 turns"):
        fit(growth | {"points": [one for one in growth["points"] if one["axis"] == "reposts"][:2]})
    with pytest.raises(ValueError, match="one partition"):
        measured_of(growth | {"points": [one for one in growth["points"] if one["partitions"] > 1]})


def test_a_plan_grows_with_the_rate_and_leaves_room() -> None:
    """A hundred times the rate needs a hundred times of what is counted; nothing is over the share in use."""
    growth = growth_figures.growth()
    model, measured = fit(growth), measured_of(growth)
    small, large = (plan(rate, MIX, model, measured, Wishes()) for rate in (10_000, 1_000_000))
    assert large.processes == pytest.approx(100 * small.processes, rel=0.1)
    assert large.processes * 0.7 * model.rate(MIX) >= 1_000_000
    assert large.partitions * 0.7 * measured.partition_rate >= 1_000_000
    assert large.partitions >= 2 * large.processes
    assert large.transactions == pytest.approx(1_000_000 / 40)
    assert plan(1, MIX, model, measured, Wishes()).brokers == 3
    assert small.redis_gb == pytest.approx(10_000 * 0.8 * 1800 * 3600 / 1e9)


def test_cost_is_of_the_readers_own_prices() -> None:
    """Without prices the counts are said; with them a sum."""
    growth = growth_figures.growth()
    bare = model_of(growth, MIX, Wishes(), (1000.0,))
    assert " d + " in show(bare)
    priced = model_of(growth, MIX, Wishes(device_price=3.0, core_price=0.04, gb_price=0.005), (1000.0,))
    one = priced["plans"][0]
    cores = one["processes"] + 8 * one["brokers"]
    assert one["cost"] == pytest.approx(3 * one["devices"] + 0.04 * cores + 0.005 * one["redis_gb"])
    assert all(name in REMEDIES for one in bare["plans"] for name, _ in one["full"])


def test_the_committed_plan_is_that_of_the_committed_figures(tmp_path: Path) -> None:
    """`capacity.json` is what the model says of `growth.json`, and the page has table and plot of it."""
    if (RESULTS / "capacity.json").exists():
        kept = json.loads((RESULTS / "capacity.json").read_text(encoding="utf-8"))
        growth = json.loads((RESULTS / "growth.json").read_text(encoding="utf-8"))
        mix, wishes = Mix(**kept["mix"]), Wishes(**kept["wishes"])
        again = model_of(growth, mix, wishes, tuple(one["rate"] for one in kept["plans"]))
        assert show(again) == show(kept), "run `python -m bench.capacity --json bench/results/capacity.json`"
    (tmp_path / "capacity.json").write_text(json.dumps(model_of(growth_figures.growth(), MIX, Wishes(), RATES)))
    assert {file.name for file in plot(tmp_path, tmp_path)} == {"capacity.svg", "capacity.png"}
    assert "| 1,000,000 |" in render(tmp_path)
