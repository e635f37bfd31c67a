"""Processes of a run that need not import torch and its kin: each is forked from one process that has.

To import what a training run needs takes longer than to train a tiny encoder. They have one seed of hashes: a test
whose matter is that the order of a set differs between processes starts interpreters instead.
"""

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_IMPORTED = [
    "matplotlib.figure",
    "mmorient.cli",
    "mmorient.training.encoder_run",
    "torch.distributed.device_mesh",
    "torch.distributed.fsdp",
    "transformers.models.auto.modeling_auto",
    "transformers.models.bert.modeling_bert",
    "transformers.models.vit.modeling_vit",
]
_SECONDS = 800.0


@dataclass(frozen=True)
class Ended:
    """What a process left."""

    code: int | None
    said: str


def forked(
    script: str, arguments: Sequence[str], folder: Path, environments: Sequence[Mapping[str, str]]
) -> list[Ended]:
    """Run a script in a process for each environment, at once, each with one thread; return what each left.

    Args:
        script: Python's text, which is run as a program.
        arguments: of the script, in `sys.argv`.
        folder: where it runs.
        environments: variables besides those of this process.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    logs = [folder / f"process-{number}.log" for number in range(len(environments))]
    started = [
        context.Process(target=_run, args=(script, list(arguments), folder, dict(variables), log))
        for variables, log in zip(environments, logs, strict=True)
    ]
    for one in started:
        one.start()
    for one in started:
        one.join(_SECONDS)
        one.kill()
        one.join()
    return [Ended(one.exitcode, log.read_text(errors="replace")) for one, log in zip(started, logs, strict=True)]


def _run(script: str, arguments: list[str], folder: Path, variables: Mapping[str, str], log: Path) -> None:
    with log.open("wb") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    sys.stdout = sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.environ.update(variables)
    os.chdir(folder)
    sys.argv = ["script", *arguments]
    import torch

    torch.set_num_threads(1)
    exec(compile(script, "script", "exec"), {"__name__": "__main__"})  # noqa: S102
