"""`moderate run`."""

import os
import signal
import sys
from typing import Any

import click

from worker.commands.listening import pages, refuse_taken_address
from worker.commands.options import SettingsCommand, settings_options
from worker.commands.processes import run_processes
from worker.commands.startup import read_settings, refuse_missing_files


@click.command(cls=SettingsCommand)
@settings_options()
def run(**options: Any) -> None:
    """Run the worker until it is told to stop (SIGTERM or Ctrl-C)."""
    # Nothing is in flight until the shell handles the signal. The first process of a container would ignore it.
    signal.signal(signal.SIGTERM, _stop_before_the_start)
    settings = read_settings(options)
    refuse_missing_files(settings)
    for one in pages(settings):
        refuse_taken_address(one)
    from worker.broker.topics import shadow_topics

    shadow_topics(settings)  # or one line why there can be none
    if settings.processes > 1:
        sys.exit(run_processes(settings))
    from worker.app import run_worker

    run_worker(settings)


def _stop_before_the_start(*_: object) -> None:
    os.write(sys.stderr.fileno(), b"moderate: told to stop before anything was begun\n")
    os._exit(0)
