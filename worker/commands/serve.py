"""`moderate serve`."""

import os
import signal
import sys
from typing import Any

import click

from worker.commands.listening import refuse_taken_address
from worker.commands.options import SettingsCommand, settings_options
from worker.commands.startup import read_settings, refuse_missing_files

# What posts go through here. The broker's settings name the tasks that are answered, and no broker is asked.
_GROUPS = (
    *("checkpoint", "device", "precision", "compiled", "cuda_graphs", "allow_inexact"),
    *("graph_context", "thresholds", "policies"),
    *("serve", "page", "redis", "media", "batch", "guard", "trace", "kafka", "http", "stack", "log"),
)


@click.command(cls=SettingsCommand)
@click.option(
    "--new-key",
    metavar="NAME",
    help="Print a new API key on standard error and the line of the keys file for it on standard output, and end.",
)
@settings_options(*_GROUPS)
def serve(new_key: str | None, **options: Any) -> None:
    """Label posts over HTTP, as the stream does, until told to stop (SIGTERM or Ctrl-C).

    It needs no broker. POST /v1/label takes a post or a list of posts; /docs tells of the rest.
    """
    if new_key is not None:
        _print_key(new_key)
        return
    # Nothing is in flight until the server handles the signal. The first process of a container would ignore it.
    signal.signal(signal.SIGTERM, _stop_before_the_start)
    settings = read_settings(options, broker=False)
    refuse_missing_files(settings)
    from worker.serving.keys import Keys

    keys = Keys(settings.serve.keys_file, max_posts_per_second=settings.serve.max_posts_per_second)
    refuse_taken_address(settings.serve, "SERVE")
    from worker.serving.server import run_server

    run_server(settings, keys)


def _print_key(name: str) -> None:
    from worker.serving.keys import new_key

    key, line = new_key(name)
    click.echo(f"the key, which is shown this once: {key}", err=True)
    click.echo(line)


def _stop_before_the_start(*_: object) -> None:
    os.write(sys.stderr.fileno(), b"moderate: told to stop before anything was begun\n")
    os._exit(0)
