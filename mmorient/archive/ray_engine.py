"""The same labelling over Ray Data: files are read by tasks, chunks are labelled by actors, lines come back in order.

Without an address a Ray of this machine is started and ended. Where the environment's ``RAY_ADDRESS`` names a cluster
(``ray://head:10001``, ``head:6379`` or ``auto``), that one is used: this package, the archive and the checkpoint must
be at the same paths on its machines. The output is written by the process that asked, so that it is the same bytes, and
resumes the same way, as without Ray.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from mmorient.archive.labelling import Labelled, label_chunk
from mmorient.archive.reading import Archive, Place, Row, chunks
from mmorient.errors import ArchiveError, MmOrientError
from mmorient.files.extras import extra_module

if TYPE_CHECKING:
    import pyarrow as pa

    from mmorient.moderator import Moderator

# Chunks are at most 32 MB: some of them wait for each worker.
_OBJECT_STORE_BYTES = 512 * 1024 * 1024
_READ_CPUS = 0.25


class _Reader:
    """Rows of one file to chunks, one chunk a row of the table.

    A file that breaks off is a last chunk that says so: what comes before it is labelled, as in one process.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def __call__(self, table: pa.Table) -> Iterator[pa.Table]:
        for wanted in table.to_pylist():
            try:
                for rows in chunks(self._archive.rows_of(wanted["file"], wanted["skip"])):
                    yield _chunk_table(wanted["file"], rows, None)
            except ArchiveError as error:
                yield _chunk_table(wanted["file"], [], str(error))


def _chunk_table(file: int, rows: Sequence[Row], broken: str | None) -> pa.Table:
    import pyarrow as pa

    numbers = pa.list_(pa.int64())
    return pa.table(
        {
            "file": [file],
            "broken": pa.array([broken], pa.string()),
            "numbers": pa.array([[row.number for row in rows]], numbers),
            "read_bytes": pa.array([[row.read_bytes for row in rows]], numbers),
            "refused": pa.array([[row.refused for row in rows]], pa.list_(pa.string())),
            # Small offsets end at 2 GB.
            "values": pa.array([[row.value for row in rows]], pa.large_list(pa.large_binary())),
        }
    )


class _Labeller:
    """Holds a moderator; chunks to lines."""

    def __init__(self, archive: Archive, options: Mapping[str, Any], checkpoint: str) -> None:
        from mmorient.commands.model_options import load_moderator

        self._archive = archive
        self._moderator: Moderator | None = None
        # What a constructor raises, Ray tells as its own failure, without the reason.
        self._broken = ""
        try:
            self._moderator = load_moderator(dict(options))
        except (MmOrientError, click.ClickException) as error:
            self._broken = f"a worker's {error}"
            return
        found = self._moderator.identity.checkpoint
        if found != checkpoint:
            self._broken = f"a worker's checkpoint is {found}, not {checkpoint}"

    def __call__(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa

        answers = []
        for chunk in table.to_pylist():
            broken = self._broken or chunk["broken"]
            if broken or self._moderator is None:
                answers.append({"broken": broken})
                continue
            columns = zip(chunk["numbers"], chunk["values"], chunk["read_bytes"], chunk["refused"], strict=True)
            one = label_chunk(self._moderator, self._archive, [Row(chunk["file"], *fields) for fields in columns])
            answers.append(
                {
                    "file": one.end.file,
                    "row": one.end.row,
                    "read_bytes": one.read_bytes,
                    "lines": list(one.lines),
                    "refused": list(one.refused),
                }
            )
        number, text = pa.int64(), pa.string()
        kinds = {"broken": text, "file": number, "row": number, "read_bytes": number}
        kinds |= {"lines": pa.list_(text), "refused": pa.list_(text)}
        return pa.Table.from_pylist(answers, schema=pa.schema(list(kinds.items())))


def label_on_ray(
    archive: Archive, options: Mapping[str, Any], checkpoint: str, start: Place, *, workers: int
) -> Iterator[Labelled]:
    """Label an archive from a place on, by some workers, each with a moderator and a core (or a GPU) of its own.

    Args:
        archive: Of files alone.
        options: Those of ``load_moderator``; the device is ``cpu`` or ``cuda``.
        checkpoint: ``sha256:…`` of the one that every worker must find.
        start: Where to read on.
        workers: How many.

    Raises:
        ArchiveUsageError: Ray is not installed.
        ArchiveError: A file cannot be read, a worker has another checkpoint or none, or Ray gave up.
    """
    ray = extra_module("ray", "ray", "--ray")
    data = extra_module("ray.data", "ray", "--ray")
    with _connected(ray, workers), _in_one_line(ray):
        context = data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        # A chunk is a block: Ray would gather 128 MB of them before the first worker got one.
        context.target_max_block_size = 1
        files = [
            {"file": file, "skip": start.row if file == start.file else 0} for file in range(start.file, len(archive))
        ]
        if not files:
            return
        answers = (
            data.from_items(files, override_num_blocks=len(files))
            # Other resources than the actors', so that Ray does not make one stage of both: a file then had one actor.
            .map_batches(_Reader(archive), batch_size=1, batch_format="pyarrow", num_cpus=_READ_CPUS)
            .map_batches(
                _Labeller,
                fn_constructor_args=(archive, options, checkpoint),
                batch_size=1,
                batch_format="pyarrow",
                compute=data.ActorPoolStrategy(size=workers),
                num_cpus=1,
                num_gpus=1 if options["device"] == "cuda" else 0,
            )
        )
        for answer in answers.iter_rows():
            if answer["broken"] is not None:
                raise ArchiveError(answer["broken"])
            yield Labelled(
                Place(int(answer["file"]), int(answer["row"])),
                int(answer["read_bytes"]),
                tuple(answer["lines"]),
                tuple(answer["refused"]),
            )


@contextmanager
def _silent() -> Iterator[None]:
    """Keep standard error from what is not written through Python."""
    sys.stderr.flush()
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


@contextmanager
def _connected(ray: Any, workers: int) -> Iterator[None]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    own: dict[str, Any] = {}
    if "RAY_ADDRESS" not in os.environ:
        own = {
            "address": "local",
            "num_cpus": workers + 1,
            "object_store_memory": _OBJECT_STORE_BYTES,
            "include_dashboard": False,
        }
    # Of one file Ray expects one block, and warns of idle workers.
    warnings.filterwarnings("ignore", module=r"ray\.data\..*")
    try:
        with _silent():  # it tells of the level that was set for it
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **own)
    except Exception as error:  # of a node that does not start in time Ray says so by nothing more exact
        raise ArchiveError(f"--ray: {_last_line(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _in_one_line(ray: Any) -> Iterator[None]:
    """Say that Ray gave up, not how that came here through its own code."""
    try:
        yield
    except ray.exceptions.RayError as error:
        cause: BaseException = error
        while inner := getattr(cause, "cause", None) or cause.__cause__:
            cause = inner
        raise ArchiveError(f"--ray: {type(cause).__name__}: {_last_line(cause)}") from error


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
