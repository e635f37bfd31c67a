"""``mmorient fairness``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from mmorient.commands.model_options import load_moderator, model_options

if TYPE_CHECKING:
    from mmorient.training.judging.fairness import FairnessScore, Rate
    from mmorient.training.judging.functional import FunctionalScore


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
@model_options
def fairness(*, as_json: bool, **options: Any) -> None:
    """Say how posts that name a group of people are labelled, group by group, in percent.

    Each sentence of the project's own set is said of every group, and of none: FPR is the share of harmless posts that
    are called offensive, recall that of hostile ones. A group with * is named nowhere in the training's own additions.
    Then, kind by kind, the share of the held-out functional sentences that are called what they are.
    """
    moderator = load_moderator(options)
    from mmorient.training.judging.fairness import measure_fairness
    from mmorient.training.judging.functional import measure_functional

    score, functional = measure_fairness(moderator), measure_functional(moderator)
    if as_json:
        said = {**score.as_dict(), "functional": [kind.as_dict() for kind in functional]}
        click.echo(json.dumps(said, indent=2))
    else:
        _print(score)
        _print_functional(functional)


def _print(score: FairnessScore) -> None:
    heads = f"{'FPR (95 %)':>20} {'recall (95 %)':>20} {'p harmless':>11} {'p hostile':>10}"
    click.echo(f"{'group':12} {'axis':11} {'posts':>5} {heads}")
    for one in sorted(score.groups, key=lambda one: (-one.false_positives.value, one.group)):
        name = one.group if one.in_training or one.group == "none" else f"{one.group}*"
        click.echo(
            f"{name:12} {one.axis:11} {one.posts:5} {_said(one.false_positives)} {_said(one.recall)}"
            f" {one.harmless_probability:11.2f} {one.hostile_probability:10.2f}"
        )
    click.echo(f"{'all groups':30} {_said(score.false_positives)} {_said(score.recall)}")
    click.echo(f"{'gap':30} {_said(score.gap)} {_said(score.recall_gap)}")
    click.echo(f"\n{'kind':20} {'truth':8} {'posts':>5} {'called offensive':>17} {'about no group':>15}")
    for kind in score.kinds:
        truth = "hostile" if kind.hostile else "harmless"
        click.echo(f"{kind.kind:20} {truth:8} {kind.posts:5} {kind.offensive:17.2f} {kind.reference:15.2f}")


def _print_functional(kinds: Sequence[FunctionalScore]) -> None:
    click.echo(f"\n{'functional kind':31} {'should be called':17} {'posts':>5} {'called so':>10} {'p of it':>8}")
    for kind in kinds:
        click.echo(f"{kind.kind:31} {kind.label:17} {kind.posts:5} {kind.right:10.2f} {kind.probability:8.2f}")
    for label in dict.fromkeys(kind.label for kind in kinds):
        shares = [kind.right for kind in kinds if kind.label == label]
        posts = sum(kind.posts for kind in kinds if kind.label == label)
        click.echo(f"{'mean of kinds':31} {label:17} {posts:5} {sum(shares) / len(shares):10.2f}")


def _said(rate: Rate) -> str:
    return f"{f'{rate.value:.2f} ({rate.low:.1f}-{rate.high:.1f})':>20}"
