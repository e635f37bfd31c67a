"""`python -m deploy.simulation`: the tables and plots of README.md, and the values for workers of another speed."""

from dataclasses import replace
from pathlib import Path

import click

from deploy.simulation import report
from deploy.simulation.figures import Figures
from deploy.simulation.scenarios import MEAN_POSTS_PER_SECOND, SPIKE, judge, load_of, runs
from deploy.simulation.search import finals, front, read_found, search, write_found
from deploy.simulation.settings import Settings, load_chosen, naive

HERE = Path(__file__).parent


def compared(figures: Figures) -> list[Settings]:
    """Return what the tables compare: the naive settings, and the chosen ones last."""
    chosen = load_chosen()
    mean_replicas = round(MEAN_POSTS_PER_SECOND / figures.posts_per_second)
    return [*naive(chosen.partitions, mean_replicas), chosen]


@click.group()
def main() -> None:
    """Simulate scaling."""


@main.command()
@click.option("--seed", default=1, show_default=True, help="of what is left to chance")
def compare(seed: int) -> None:
    """Print the chosen settings beside the naive ones."""
    figures = Figures.load()
    verdicts = [judge(settings, figures, seeds=(seed,)) for settings in compared(figures)]
    click.echo(report.table(report.HEAD, [report.row(verdict) for verdict in verdicts]))


@main.command()
@click.option("--seeds", default=5, show_default=True, help="how many")
def seeds(seeds: int) -> None:
    """Print the worst figures of the chosen settings over several seeds."""
    figures = Figures.load()
    verdict = judge(load_chosen(), figures, seeds=tuple(range(1, seeds + 1)))
    click.echo(report.table(report.HEAD, [report.row(verdict, f"worst of seeds 1 to {seeds}")]))


@main.command()
def switches() -> None:
    """Print what each switch of KEDA and of the workers is worth."""
    figures = Figures.load()
    rows = [report.row(judge(settings, figures)) for settings in report.switches(load_chosen())]
    click.echo(report.table(report.HEAD, rows))


@main.command()
def sensitivity() -> None:
    """Print what the chosen settings are worth where a figure is another."""
    rows = [report.row(verdict, name) for name, verdict in report.sensitivity(load_chosen(), Figures.load())]
    click.echo(report.table(report.HEAD, rows))


@main.command("search")
def search_command() -> None:
    """Try a grid of settings, which takes some ten minutes, and write search.csv."""
    found = []
    for point in search(Figures.load()):
        click.echo(point, err=True)
        found.append(point)
    write_found(found)


@main.command("front")
def front_command() -> None:
    """Print the front of cost and lag among what the search found."""
    head = ("lag, s", "CPU, %", "window, s", "replicas", "replica hours", "p99 lag, s", "longest, s", "rebalances",
            "spike: recovery, s", "dead broker: recovery, s")  # fmt: skip
    rows = (
        (
            f"{point.lag_seconds:g}",
            str(point.cpu_percent or "none"),
            str(point.window_seconds),
            f"{point.min_replicas} to {point.partitions}",
            f"{point.replica_hours:.1f}",
            *(f"{value:.0f}" for value in (point.p99, point.longest, point.rebalances)),
            *(f"{value:.0f}" for value in (point.spike_recovery_seconds, point.dead_recovery_seconds)),
        )
        for point in front(read_found())
    )
    click.echo(report.table(head, rows))


@main.command("finals")
def finals_command() -> None:
    """Try the cheapest of each window again, with other seeds and other workers, and print the worst."""
    rows = []
    for verdict in finals(read_found(), Figures.load()):
        rows.append(report.row(verdict))
        click.echo(" | ".join(rows[-1]), err=True)
    click.echo(report.table(report.HEAD, rows))


@main.command()
@click.option("--folder", default=HERE / "pictures", type=click.Path(path_type=Path), help="where the pictures go")
def plots(folder: Path) -> None:
    """Draw the three loads under all compared settings, and what the search found."""
    from deploy.simulation.plots import plot_scenario, plot_search

    figures = Figures.load()
    folder.mkdir(exist_ok=True)
    found = [runs(settings, figures, 1) for settings in compared(figures)]
    verdicts = [judge(settings, figures) for settings in compared(figures)]
    plot_search(read_found(), verdicts[-1], verdicts[:-1], folder / "search.png")
    for name in found[0]:
        plot_scenario([each[name] for each in found], folder / f"{name.replace(' ', '-')}.png")


@main.command()
@click.option("--record", default=HERE / "record.json", type=click.Path(path_type=Path, exists=True), help="measured")
@click.option("--plot", default=HERE / "pictures" / "validation.png", type=click.Path(path_type=Path), help="picture")
def validate(record: Path, plot: Path) -> None:
    """Hold the simulation against a real run of two workers."""
    from deploy.simulation.plots import plot_validation
    from deploy.simulation.validation import compare as hold

    measured, simulated, error = hold(record)
    title = f"two real workers and the simulated ones; mean difference {100 * error:.0f} % of the highest lag"
    click.echo(title)
    plot_validation(measured, simulated, title, plot)


@main.command()
@click.option("--posts-per-second", type=click.FloatRange(min=0, min_open=True), required=True, help="of one worker")
@click.option(
    "--mean",
    type=click.FloatRange(min=0, min_open=True),
    help="posts a second of your stream, on average; unset: as large for these workers as the tables' is",
)
@click.option("--start-seconds", type=click.FloatRange(min=0), help="from a process's start to its part in the group")
@click.option("--cpu/--no-cpu", "by_cpu", default=True, help="whether processors are what labels; not on a GPU")
def values(*, posts_per_second: float, mean: float | None, start_seconds: float | None, by_cpu: bool) -> None:
    """Print the values for workers of another speed, and try them."""
    figures = Figures.load()
    chosen, changed, same_ratio = report.for_rate(load_chosen(), figures, posts_per_second, by_cpu=by_cpu)
    if start_seconds is not None:
        changed = replace(changed, start_seconds=start_seconds)
    mean = mean or same_ratio
    try:
        chosen = report.for_stream(chosen, changed, mean)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    verdict = judge(chosen, changed, mean=mean)
    click.echo(f'lagThreshold: "{chosen.trigger.lag_threshold}"')
    click.echo(f"cpu: {f'{chosen.cpu_target:.0%}' if by_cpu else 'no such trigger'}")
    click.echo(f"minReplicaCount: {chosen.min_replicas}")
    click.echo(f"maxReplicaCount: {chosen.max_replicas}")
    click.echo(f"partitions: {chosen.partitions}")
    busiest = load_of(SPIKE, chosen.partitions, 1, mean).arrivals.sum(axis=1).max()
    click.echo(f"# tried with {mean:.0f} posts/s on average, {busiest:.0f} in the spike:")
    click.echo(report.table(report.HEAD, [report.row(verdict)]))


if __name__ == "__main__":
    main()
