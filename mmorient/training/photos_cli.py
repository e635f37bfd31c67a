"""``mmorient photos``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from mmorient.commands.model_options import load_moderator, model_options


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--split", default="val", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
@model_options
def photos(data: Path, split: str, *, as_json: bool, **options: Any) -> None:
    """Say what an unrelated ordinary picture beside a text changes, on the sets in DATA, in percent.

    The sets irony and offensive of TweetEval are labelled as they are and with pictures of MVSA; "lost" are posts that
    were found without the picture and are not found with it. Then the mean probability of MVSA's own posts: by their
    words, with their picture, and by their picture alone.
    """
    from mmorient.training.data.readers import read_all
    from mmorient.training.judging.photos import ORDINARY, measure_photos

    examples = [one for one in read_all(data) if one.split == split]
    if not any(one.source == ORDINARY for one in examples):
        raise click.UsageError(f"{data}: has no pictures of the set mvsa_single in the split {split!r}")
    scores, own = measure_photos(load_moderator(options), examples)
    if as_json:
        said = {"photos": [one.as_dict() for one in scores], "own_pictures": [one.as_dict() for one in own]}
        click.echo(json.dumps(said, indent=2))
        return
    click.echo(f"{'set':10} {'task':14} {'posts':>6} {'F1':>7} {'with':>7} {'flipped':>8} {'lost':>6}")
    for one in scores:
        click.echo(
            f"{one.source:10} {one.task:14} {one.posts:6} {one.f1:7.2f} {one.f1_with:7.2f}"
            f" {one.flipped:8.2f} {one.lost:6.2f}"
        )
    click.echo(f"\n{'mean of':25} {'posts':>6} {'words':>7} {'both':>7} {'picture':>8}")
    for mean in own:
        click.echo(f"{mean.task:25} {mean.posts:6} {mean.words:7.3f} {mean.both:7.3f} {mean.picture:8.3f}")
