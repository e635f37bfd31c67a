"""The chosen settings: better than the naive ones, as README.md says, and those that the manifests ship."""

import tomllib
from pathlib import Path

import pytest
import yaml

from deploy.simulation import report
from deploy.simulation.__main__ import compared
from deploy.simulation.figures import Figures
from deploy.simulation.scenarios import Verdict, judge
from deploy.simulation.search import read_found
from deploy.simulation.settings import CHOSEN, by_lag, load_chosen, threshold
from deploy.simulation.validation import compare

FOLDER = CHOSEN.parent
OVERLAY = FOLDER.parent / "kubernetes" / "overlays" / "keda"


@pytest.fixture(scope="module")
def verdicts() -> list[Verdict]:
    """All that README.md's first table compares, the chosen settings last."""
    figures = Figures.load()
    return [judge(settings, figures) for settings in compared(figures)]


@pytest.mark.slow
def test_the_chosen_settings_beat_the_naive_ones(verdicts: list[Verdict]) -> None:
    """They meet the objective, and what else does so costs more."""
    *naive, chosen = verdicts
    assert chosen.meets
    assert len(naive) == 3
    assert all(chosen.rank < verdict.rank for verdict in naive)


@pytest.mark.slow
def test_the_table_of_the_readme_is_what_comes_out(verdicts: list[Verdict]) -> None:
    """Line by line."""
    assert [verdict for verdict in verdicts if not in_readme(verdict)] == []


def test_the_chosen_settings_do_what_the_readme_says() -> None:
    """Their line of its table comes out, and they meet the objective."""
    figures = Figures.load()
    chosen = judge(compared(figures)[-1], figures)
    assert in_readme(chosen)
    assert chosen.meets


def in_readme(verdict: Verdict) -> bool:
    """Return whether README.md has the line of a verdict."""
    return f"| {' | '.join(report.row(verdict))} |" in (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_chosen_settings_meet_the_objective_with_slower_workers() -> None:
    """At 0.8 times the measured speed, of which the threshold knows nothing."""
    figures = dict(report.variations(Figures.load()))
    slower = next(changed for name, changed in figures.items() if name.startswith("a worker labels 45 posts/s"))
    assert judge(load_chosen(), slower).meets


def test_the_chosen_file_is_a_point_of_the_grid() -> None:
    """The rules of scaling down and the threshold follow from the seconds, as in the search."""
    chosen, figures = load_chosen(), Figures.load()
    seconds = round(chosen.trigger.lag_threshold / figures.posts_per_second)
    made = by_lag(
        chosen.partitions,
        chosen.min_replicas,
        seconds,
        chosen.down.stabilization_seconds,
        figures.posts_per_second,
        cpu_target=chosen.cpu_target,
    )
    assert (chosen.up, chosen.down, chosen.max_replicas) == (made.up, made.down, made.max_replicas)
    assert chosen.trigger.lag_threshold == made.trigger.lag_threshold


def test_a_threshold_is_seconds_of_work_in_two_digits() -> None:
    """Ten seconds of 55.8 posts a second, and of a GPU's 900."""
    assert [threshold(rate, 10) for rate in (55.8, 900, 3.21, 0.01)] == [560, 9000, 32, 1]


def test_a_stream_that_no_number_of_partitions_can_take_is_named() -> None:
    """One author of 3 % of 10,000 posts a second is more than a worker of 56 labels."""
    with pytest.raises(ValueError, match="the busiest author is more"):
        report.for_stream(load_chosen(), Figures.load(), 10_000)


def test_the_simulation_follows_a_real_run() -> None:
    """Two real workers on a busy machine: the mean difference is a small part of the highest lag."""
    _, _, error = compare(FOLDER / "record.json")
    assert error < 0.15


@pytest.mark.skipif(not OVERLAY.parent.exists(), reason="this tree has no manifests")
def test_the_manifests_ship_what_was_chosen() -> None:
    """Every value of chosen.toml stands in the overlay's ScaledObject, and nothing else scales."""
    chosen = tomllib.loads(CHOSEN.read_text(encoding="utf-8"))
    spec = yaml.safe_load((OVERLAY / "scaled-object.yaml").read_text(encoding="utf-8"))["spec"]
    for name in ("minReplicaCount", "maxReplicaCount", "pollingInterval"):
        assert spec[name] == chosen[name]
    # Where the broker answers KEDA with errors: never fewer than there are.
    assert spec["fallback"]["behavior"] == "currentReplicasIfHigher"
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    for direction, rules in chosen["behavior"].items():
        assert behavior[direction]["stabilizationWindowSeconds"] == rules["stabilizationWindowSeconds"]
        assert sorted(map(_policy, behavior[direction]["policies"])) == sorted(map(_policy, rules["policies"]))
        assert behavior[direction].get("selectPolicy", "Max") == "Max"
    triggers = {trigger["type"]: trigger for trigger in spec["triggers"]}
    assert set(triggers) == {"kafka", "cpu"}
    shipped = {name: triggers["kafka"]["metadata"].get(name, "false") for name in chosen["trigger"]}
    assert shipped == {name: str(value).lower() for name, value in chosen["trigger"].items()}
    assert triggers["cpu"]["metricType"] == "Utilization"
    assert triggers["cpu"]["metadata"]["value"] == str(chosen["cpu"]["value"])
    leaves = "MODERATE_KAFKA__LEAVE_ON_STOP=true" in (OVERLAY / "kustomization.yaml").read_text(encoding="utf-8")
    assert leaves == chosen["leave_on_stop"]


def _policy(entry: dict[str, object]) -> tuple[str, str, str]:
    return str(entry["type"]), str(entry["value"]), str(entry["periodSeconds"])


def test_the_folder_is_where_the_test_looks() -> None:
    """A move of the manifests is noticed here."""
    assert Path(OVERLAY).parts[-4:] == ("deploy", "kubernetes", "overlays", "keda")


@pytest.mark.slow
def test_what_the_search_found_comes_out_again() -> None:
    """The point of the grid that was chosen, with its line of search.csv."""
    chosen, figures = load_chosen(), Figures.load()
    (point,) = (
        point
        for point in read_found()
        if (point.partitions, point.min_replicas) == (chosen.partitions, chosen.min_replicas)
        and (point.lag_seconds, point.window_seconds) == (10.0, chosen.down.stabilization_seconds)
        and point.cpu_percent == round(100 * chosen.cpu_target)
    )
    verdict = judge(point.settings(figures), figures)
    assert round(verdict.cost, 1) == point.replica_hours
    assert (round(verdict.wave.p99), verdict.wave.rebalances) == (point.p99, point.rebalances)
    assert verdict.spike.recovery_seconds == point.spike_recovery_seconds
    assert verdict.dead.recovery_seconds == point.dead_recovery_seconds
