"""What settings are held against: three loads, and the objective."""

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache

from deploy.simulation.figures import Figures
from deploy.simulation.load import Load, dead_broker, spike, wave
from deploy.simulation.outcome import TARGET_SECONDS, Outcome, outcome
from deploy.simulation.settings import Settings
from deploy.simulation.simulate import Run, run

# The stream that the tables are about; what matters is its ratio to a worker's speed.
MEAN_POSTS_PER_SECOND = 100.0
RECOVERY_SECONDS = 600.0
WAVE, SPIKE, DEAD = "daily wave", "tenfold spike", "dead broker"

_MAKERS: dict[str, Callable[[float, int, int], Load]] = {WAVE: wave, SPIKE: spike, DEAD: dead_broker}


@lru_cache(maxsize=8)
def load_of(name: str, partitions: int, seed: int, mean: float = MEAN_POSTS_PER_SECOND) -> Load:
    """Return a scenario's load.

    Args:
        name: of the scenario.
        partitions: of the topic.
        seed: of what is left to chance.
        mean: posts a second.
    """
    return _MAKERS[name](mean, partitions, seed)


@dataclass(frozen=True)
class Verdict:
    """Settings under all three loads.

    Args:
        settings: that were tried.
        wave, spike, dead: what came of each load.
    """

    settings: Settings
    wave: Outcome
    spike: Outcome
    dead: Outcome

    @property
    def meets(self) -> bool:
        """Whether the wave's p99 and both recoveries are within their targets."""
        return (
            self.wave.p99 <= TARGET_SECONDS
            and self.spike.recovery_seconds <= RECOVERY_SECONDS
            and self.dead.recovery_seconds <= RECOVERY_SECONDS
        )

    @property
    def cost(self) -> float:
        """Replica hours of an ordinary day."""
        return self.wave.replica_hours

    @property
    def rank(self) -> tuple[bool, float, float]:
        """What to sort by: what meets the objective first, then cost, then lag."""
        return (not self.meets, self.cost, self.wave.p99)


def runs(settings: Settings, figures: Figures, seed: int, mean: float = MEAN_POSTS_PER_SECOND) -> dict[str, Run]:
    """Return the run of each scenario by its name."""
    return {name: run(load_of(name, settings.partitions, seed, mean), settings, figures) for name in _MAKERS}


def judge(
    settings: Settings, figures: Figures, *, seeds: tuple[int, ...] = (1,), mean: float = MEAN_POSTS_PER_SECOND
) -> Verdict:
    """Return what settings are worth; of several seeds the worst figure of each kind.

    Args:
        settings: to try.
        figures: of the workers.
        seeds: of what is left to chance.
        mean: posts a second.
    """
    found = []
    for seed in seeds:
        outcomes = {name: outcome(done) for name, done in runs(settings, figures, seed, mean).items()}
        found.append(Verdict(settings, outcomes[WAVE], outcomes[SPIKE], outcomes[DEAD]))
    return worst(found)


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the worst figure of each kind among verdicts on the same settings."""
    return Verdict(
        verdicts[0].settings,
        _worst([each.wave for each in verdicts]),
        _worst([each.spike for each in verdicts]),
        _worst([each.dead for each in verdicts]),
    )


def _worst(outcomes: Sequence[Outcome]) -> Outcome:
    rows = [astuple(each) for each in outcomes]
    return Outcome(*(max(column) for column in zip(*rows, strict=True)))
