"""`python -m deploy.simulation`: the tables and plots of README.md, and the values for workers of another speed."""

from dataclasses import replace
from pathlib import Path

import click

from deploy.simulation import report
from deploy.simulation.figures import Figures
from deploy.simulation.scenarios import MEAN_POSTS_PER_SECOND, SPIKE, judge, load_of, runs
from deploy.simulation.search import candidates, finals, front, search
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
@click.option("--leave-on-stop/--stay", default=True, help="workers that end in order leave the group, or not")
@click.option("--plot", type=click.Path(path_type=Path), help="picture of all that recover in time")
def search_command(*, leave_on_stop: bool, plot: Path | None) -> None:
    """Try a grid of settings, which takes about a quarter of an hour, and print the front of cost and lag."""
    figures = Figures.load()
    found = []
    for verdict in search(candidates(figures, leave_on_stop=leave_on_stop), figures):
        click.echo(" | ".join(report.row(verdict)), err=True)
        found.append(verdict)
    click.echo(report.table(report.HEAD, [report.row(verdict) for verdict in front(found)]))
    click.echo("\nThe cheapest of few rebalances, worst of three seeds and of workers of 0.8 times the speed:\n")
    click.echo(report.table(report.HEAD, [report.row(verdict) for verdict in finals(found, figures)]))
    if plot is not None:
        from deploy.simulation.plots import plot_search

        verdicts = [judge(settings, figures) for settings in compared(figures)]
        plot_search(found, verdicts[-1], verdicts[:-1], plot)


@main.command()
@click.option("--folder", default=HERE / "plots", type=click.Path(path_type=Path), help="where the pictures go")
def plots(folder: Path) -> None:
    """Draw the three loads under all compared settings."""
    from deploy.simulation.plots import plot_scenario

    figures = Figures.load()
    folder.mkdir(exist_ok=True)
    found = [runs(settings, figures, 1) for settings in compared(figures)]
    for name in found[0]:
        plot_scenario([each[name] for each in found], folder / f"{name.replace(' ', '-')}.png")


@main.command()
@click.option("--record", default=HERE / "record.json", type=click.Path(path_type=Path, exists=True), help="of `measure`")
@click.option("--plot", default=HERE / "plots" / "validation.png", type=click.Path(path_type=Path), help="picture")
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
@click.option("--mean", type=click.FloatRange(min=0, min_open=True), help="posts a second of your stream  [default: in the tables' ratio]")
@click.option("--start-seconds", type=click.FloatRange(min=0), help="from a process's start to its part in the group")
def values(posts_per_second: float, mean: float | None, start_seconds: float | None) -> None:
    """Print the values for workers of another speed, and try them."""
    figures = Figures.load()
    chosen, changed, same_ratio = report.for_rate(load_chosen(), figures, posts_per_second)
    if start_seconds is not None:
        changed = replace(changed, start_seconds=start_seconds)
    mean = mean or same_ratio
    try:
        chosen = report.for_stream(chosen, changed, mean)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    verdict = judge(chosen, changed, mean=mean)
    click.echo(f'lagThreshold: "{chosen.trigger.lag_threshold}"')
    click.echo(f"minReplicaCount: {chosen.min_replicas}")
    click.echo(f"maxReplicaCount: {chosen.max_replicas}")
    click.echo(f"partitions: {chosen.partitions}")
    busiest = load_of(SPIKE, chosen.partitions, 1, mean).arrivals.sum(axis=1).max()
    click.echo(f"# tried with {mean:.0f} posts/s on average, {busiest:.0f} in the spike:")
    click.echo(report.table(report.HEAD, [report.row(verdict)]))


if __name__ == "__main__":
    main()
