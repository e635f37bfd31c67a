"""Settings of scaling that are compared, and the file of those that were chosen."""

import tomllib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from deploy.simulation.hpa import DEFAULT_DOWN, DEFAULT_UP, Policy, Rules
from deploy.simulation.keda import Trigger

CHOSEN = Path(__file__).with_name("chosen.toml")

# Of its page on the Kafka scaler.
KEDA_EXAMPLE = Trigger(lag_threshold=10)
# Every start pauses all partitions: few, large steps up.
UP = Rules(0, (Policy("Percent", 100, 60), Policy("Pods", 4, 60)))


@dataclass(frozen=True)
class Settings:
    """How many workers there shall be, and when.

    Args:
        name: in tables.
        partitions: of the posts' topic.
        min_replicas, max_replicas: bounds.
        metric: lag by KEDA, the processor's use, whichever of both asks for more, or nothing.
        trigger: of KEDA.
        up, down: the autoscaler's `behavior`.
        cpu_target: share of the request, for the processor's use.
        leave_on_stop: whether a worker that ends in order leaves the group at once (`kafka.leave_on_stop`).
        sticky: whether partitions stay where they are (`kafka.assignment`), or are dealt round the workers each time.
    """

    name: str
    partitions: int
    min_replicas: int
    max_replicas: int
    metric: Literal["lag", "cpu", "both", "fixed"] = "lag"
    trigger: Trigger = KEDA_EXAMPLE
    up: Rules = DEFAULT_UP
    down: Rules = DEFAULT_DOWN
    cpu_target: float = 0.8
    leave_on_stop: bool = False
    sticky: bool = False


def by_lag(
    partitions: int,
    min_replicas: int,
    lag_seconds: float,
    window_seconds: int,
    posts_per_second: float,
    *,
    cpu_target: float | None = None,
    leave_on_stop: bool = True,
) -> Settings:
    """Return settings by lag, of the shape that is shipped.

    Args:
        partitions: of the topic, and the most replicas.
        min_replicas: the fewest.
        lag_seconds: of work that a worker may be behind.
        window_seconds: for which nobody may have asked for more before one goes.
        posts_per_second: of one worker.
        cpu_target: share of the request, for a second trigger by the processors' use; None for none.
        leave_on_stop: see `Settings`.
    """
    down_period = max(60, min(300, window_seconds // 5))
    return Settings(
        f"{lag_seconds:g} s{f', CPU {100 * cpu_target:.0f} %' if cpu_target else ''}; "
        f"{window_seconds} s; {min_replicas} to {partitions}",
        partitions,
        min_replicas,
        partitions,
        metric="both" if cpu_target else "lag",
        cpu_target=cpu_target or 0.0,
        trigger=Trigger(threshold(posts_per_second, lag_seconds), polling_seconds=15),
        up=UP,
        down=Rules(window_seconds, (Policy("Pods", 1, down_period),)),
        leave_on_stop=leave_on_stop,
    )


def threshold(posts_per_second: float, lag_seconds: float) -> int:
    """Return `lagThreshold`: the posts that a worker labels in so many seconds, in two digits.

    Args:
        posts_per_second: of one worker.
        lag_seconds: of work that it may be behind.
    """
    posts = posts_per_second * lag_seconds
    digits: int = 10 ** max(0, len(str(int(posts))) - 2)
    return max(1, round(posts / digits) * digits)


def naive(partitions: int, mean_replicas: int) -> tuple[Settings, ...]:
    """Return what one would write down without measuring: by lag, by use, and as many workers as the mean needs."""
    return (
        # The example of KEDA's page on its Kafka scaler, which has no `behavior`; nobody waits before scaling down.
        Settings(
            "KEDA's example",
            partitions,
            1,
            partitions,
            down=Rules(0, DEFAULT_DOWN.policies),
        ),
        Settings("CPU at 80 %", partitions, 1, partitions, metric="cpu"),
        Settings("fixed, the mean's", partitions, mean_replicas, mean_replicas, metric="fixed"),
    )


def load_chosen(path: Path = CHOSEN) -> Settings:
    """Read the chosen settings.

    Raises:
        KeyError: a value is missing.
    """
    entries = tomllib.loads(path.read_text(encoding="utf-8"))
    trigger, behavior = entries["trigger"], entries["behavior"]
    return Settings(
        "chosen",
        entries["partitions"],
        entries["minReplicaCount"],
        entries["maxReplicaCount"],
        metric="both",
        cpu_target=entries["cpu"]["value"] / 100,
        trigger=Trigger(
            trigger["lagThreshold"],
            polling_seconds=entries["pollingInterval"],
            use_cached_metrics=trigger["useCachedMetrics"],
            limit_to_partitions_with_lag=trigger["limitToPartitionsWithLag"],
            exclude_persistent_lag=trigger["excludePersistentLag"],
            allow_idle_consumers=trigger["allowIdleConsumers"],
        ),
        up=_rules(behavior["scaleUp"]),
        down=_rules(behavior["scaleDown"]),
        leave_on_stop=entries["leave_on_stop"],
    )


def _rules(entry: dict[str, Any]) -> Rules:
    return Rules(
        entry["stabilizationWindowSeconds"],
        tuple(Policy(policy["type"], policy["value"], policy["periodSeconds"]) for policy in entry["policies"]),
    )


def with_trigger(settings: Settings, name: str, **changes: Any) -> Settings:
    """Return settings with another trigger."""
    return replace(settings, name=name, trigger=Trigger(**{**asdict(settings.trigger), **changes}))
