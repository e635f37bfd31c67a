"""The model: device, threads, and a checkpoint that loads and labels a post, in a child process."""

import asyncio
import math
from collections.abc import Callable
from typing import Any

from worker.commands.doctor.examination import Check
from worker.commands.doctor.findings import Outcome, failure, ok, skipped, warning
from worker.commands.doctor.machine import MODEL_BYTES
from worker.commands.startup import refuse_missing_files
from worker.errors import SettingsError
from worker.isolation.child_process import Child
from worker.settings import Settings

_MODULE = "worker.commands.doctor.model_process"
_SECONDS = 120.0  # the whole's limit comes first
_PATIENCE = "try again with --timeout 120: this machine is busy, or its disk slow"


class ModelChild:
    """A child process that loads a model, and what it says.

    Args:
        settings: under which it labels.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._child: Child | None = None
        self._starting: asyncio.Task[dict[str, Any] | None] | None = None

    async def device(self) -> dict[str, Any] | None:
        """Return what torch finds here; None where the child ended before it said so."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
        return await asyncio.shield(self._starting)

    async def model(self) -> dict[str, Any]:
        """Return what became of loading and labelling; `failed` says why it came to nothing."""
        if await self.device() is None or self._child is None:
            return {"failed": await self._end()}
        return await self._child.answer() or {"failed": await self._end()}

    async def close(self) -> None:
        """End it."""
        if self._child is not None:
            self._child.kill()
            await self._child.ended()

    async def _start(self) -> dict[str, Any] | None:
        self._child = await Child.start(_MODULE, self._settings)
        return await self._child.answer()

    async def _end(self) -> str:
        how = "" if self._child is None else await self._child.ended()
        return "it was killed: out of memory?" if how == "SIGKILL" else f"its process ended with {how}"


class Checkpoint:
    """Looks at device, threads and checkpoints.

    Args:
        settings: of the worker.
        processors: processors whose time there is.
        free_bytes: tells the memory that a child could have.
    """

    def __init__(self, settings: Settings, *, processors: float, free_bytes: Callable[[], int]) -> None:
        self._settings = settings
        self._processors = processors
        self._free_bytes = free_bytes
        self._live = ModelChild(settings)
        self._shadow: ModelChild | None = None

    def checks(self) -> list[Check]:
        """Return the checks, in order."""
        checks = [
            Check("checkpoint.folder", self._folder),
            Check("machine.room", self._room, needs=("machine.memory",)),
            Check("machine.device", self._device, needs=("machine.room",), seconds=_SECONDS, patience=_PATIENCE),
            Check("machine.threads", self._threads, needs=("machine.room",), seconds=_SECONDS, patience=_PATIENCE),
            Check(
                "checkpoint.model",
                self._model,
                needs=("checkpoint.folder", "machine.device"),
                seconds=_SECONDS,
                patience=_PATIENCE,
            ),
        ]
        if self._settings.shadow.checkpoint is not None:
            checks.append(
                Check(
                    "checkpoint.shadow",
                    self._shadow_model,
                    needs=("checkpoint.folder", "machine.device"),
                    after=("checkpoint.model",),
                    seconds=_SECONDS,
                    patience=_PATIENCE,
                )
            )
        return checks

    async def close(self) -> None:
        """End the children."""
        await self._live.close()
        if self._shadow is not None:
            await self._shadow.close()

    async def _folder(self) -> Outcome:
        try:
            refuse_missing_files(self._settings)
        except SettingsError as error:
            variable = str(error).partition(":")[0]
            if "REFERENCE" in variable:
                return failure(str(error), f"let {variable} name a file that `mmorient reference` made, or unset it")
            return failure(str(error), f"let {variable} name the folder of a checkpoint (`mmorient inspect FOLDER`)")
        return ok(f"{self._settings.checkpoint or 'the one that comes with the worker'}")

    async def _room(self) -> Outcome:
        free = self._free_bytes()
        if free < MODEL_BYTES:
            return skipped(f"{free / 2**20:,.0f} MiB are free: a model beside what runs here could end it")
        return ok(f"{free / 2**20:,.0f} MiB are free to try the model in")

    async def _device(self) -> Outcome:
        wanted = self._settings.device
        found = await self._live.device()
        if found is None:
            return failure("torch cannot be loaded", "install the worker anew: pip install -r requirements.lock")
        there = {"cuda": bool(found["cuda"]), "mps": bool(found["mps"]), "cpu": True}
        if wanted != "auto" and not there[wanted]:
            return failure(
                f"device {wanted} is asked for, and torch finds none here",
                "set MODERATE_DEVICE=cpu (or auto), or give the container a GPU and the image for CUDA",
            )
        device = next(name for name, here in there.items() if here) if wanted == "auto" else wanted
        name = f" ({found['cuda_name']})" if device == "cuda" else ""
        if self._settings.precision == "bf16" and device == "cuda" and not found["bf16"]:
            return warning(
                f"{device}{name} has no bf16 of its own, and only imitates it",
                "set MODERATE_PRECISION to fp16 or fp32",
            )
        if self._settings.precision == "fp16" and device == "cpu":
            return warning(
                "a CPU has no fast fp16: labels take several times as long",
                "set MODERATE_PRECISION to fp32 or bf16 (it is stamped on every label)",
            )
        return ok(f"{device}{name}{', by auto' if wanted == 'auto' else ''}; {self._settings.precision}")

    async def _threads(self) -> Outcome:
        found = await self._live.device()
        if found is None:
            return skipped("torch cannot be loaded")
        threads, whole = int(found["threads"]), max(1, math.ceil(self._processors))
        said = f"{threads} thread{'s' * (threads != 1)} compute on {self._processors:g} processors"
        if threads > whole:
            return warning(f"{said}: they wait for each other", f"set OMP_NUM_THREADS={whole}")
        return ok(said)

    async def _model(self) -> Outcome:
        return _judged(await self._live.model(), "MODERATE_CHECKPOINT", allow_inexact=self._settings.allow_inexact)

    async def _shadow_model(self) -> Outcome:
        # One at a time: the live one's memory is free again.
        await self._live.close()
        if self._free_bytes() < MODEL_BYTES:
            return skipped("too little memory is free to try a second model")
        self._shadow = ModelChild(self._settings.model_copy(update={"checkpoint": self._settings.shadow.checkpoint}))
        outcome = _judged(
            await self._shadow.model(), "MODERATE_SHADOW__CHECKPOINT", allow_inexact=self._settings.allow_inexact
        )
        # The live labels go on without it.
        return warning(outcome.says, outcome.remedy or "") if outcome.status == "failure" else outcome


def _judged(said: dict[str, Any], variable: str, *, allow_inexact: bool) -> Outcome:
    if "failed" in said:
        return failure(
            f"no post can be labelled: {said['failed']}",
            f"copy the checkpoint again as it was written, or let {variable} name another one",
        )
    if not said["finite"]:
        return failure("a label has no finite probability", "set MODERATE_PRECISION=fp32")
    if said["differences"]:
        judge = warning if allow_inexact else failure
        return judge(
            f"labels would depend on more than their posts ({said['arithmetic']}): {said['differences'][0]}",
            "let this worker run on another kind of processor or device, or set MODERATE_ALLOW_INEXACT=true, which is "
            "stamped on every label",
        )
    return ok(
        f"{said['name']} {said['checkpoint'][:19]}… ({said['arithmetic']}) loads in "
        f"{said['load_seconds']:.1f} s and labels a post in "
        f"{1000 * said['label_seconds']:.0f} ms"
    )
