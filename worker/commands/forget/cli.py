"""`moderate forget`."""

from typing import Any

import click

from worker.commands.options import SettingsCommand, settings_options


@click.command(cls=SettingsCommand)
@click.argument("post_ids", metavar="POST_ID...", nargs=-1, required=True)
@click.option("--key", help="of the posts' records, where that is not their id, such as the author's id")
@click.option("--all-partitions", is_flag=True, help="search them all: keys are unknown, or partitions were added")
@click.option("--whole-key", is_flag=True, help="tombstones also under keys that are not the id: all that they hold")
@click.option("--dry-run", is_flag=True, help="say what would be done; write and delete nothing")
@settings_options()
def forget(
    post_ids: tuple[str, ...],
    *,
    key: str | None,
    all_partitions: bool,
    whole_key: bool,
    dry_run: bool,
    **options: Any,
) -> None:
    """Forget posts: delete their entries in Redis, write tombstones for their labels, and say what is left.

    Run it with the workers' settings, on the kind of machine that they run on: the model says which entries in Redis
    are a post's.
    """
    from worker.commands.run_once import run_once
    from worker.commands.startup import read_settings, refuse_missing_files

    settings = read_settings(options)
    refuse_missing_files(settings)
    # Only now: it loads torch, which takes seconds.
    from worker.commands.forget.command import Wanted, forget_posts

    run_once(forget_posts(settings, Wanted(post_ids, key, all_partitions, whole_key, dry_run)))
