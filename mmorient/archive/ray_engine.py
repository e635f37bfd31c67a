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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mmorient.archive.extras import extra_module
from mmorient.archive.labelling import Labelled, label_chunk
from mmorient.archive.reading import Archive, Place, Row, chunks
from mmorient.errors import ArchiveError, CheckpointError, MmOrientError

if TYPE_CHECKING:
    import pyarrow as pa

# Chunks are at most 32 MB: some of them wait for each worker.
_OBJECT_STORE_BYTES = 512 * 1024 * 1024
_READ_CPUS = 0.25


class _Reader:
    """Rows of one file to chunks, one chunk a row of the table."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def __call__(self, table: pa.Table) -> Iterator[pa.Table]:
        import pyarrow as pa

        for wanted in table.to_pylist():
            for rows in chunks(self._archive.rows_of(wanted["file"], wanted["skip"])):
                columns: dict[str, list[Any]] = {
                    "file": [wanted["file"]],
                    "numbers": [[row.number for row in rows]],
                    "read_bytes": [[row.read_bytes for row in rows]],
                    "refused": [[row.refused for row in rows]],
                }
                # Not pa.table alone: its binary columns end at 2 GB, and its guess of a list of None is null.
                yield pa.table(
                    {
                        **columns,
                        "refused": pa.array(columns["refused"], pa.list_(pa.string())),
                        "values": pa.array([[row.value for row in rows]], pa.large_list(pa.large_binary())),
                    }
                )


class _Labeller:
    """Holds a moderator; chunks to lines."""

    def __init__(self, archive: Archive, options: Mapping[str, Any], checkpoint: str) -> None:
        from mmorient.model_options import load_moderator

        self._archive = archive
        self._moderator = load_moderator(dict(options))
        found = self._moderator.identity.checkpoint
        if found != checkpoint:
            raise CheckpointError(options["checkpoint"] or "of the package", f"is {found} here, {checkpoint} elsewhere")

    def __call__(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa

        answers = []
        for chunk in table.to_pylist():
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
        texts = pa.list_(pa.string())
        kinds = {"file": pa.int64(), "row": pa.int64(), "read_bytes": pa.int64(), "lines": texts, "refused": texts}
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
        ArchiveError: A file cannot be read, or Ray gave up.
        CheckpointError: A worker has another checkpoint, or none.
    """
    ray = extra_module("ray", "ray", "--ray")
    data = extra_module("ray.data", "ray", "--ray")
    with _connected(ray, workers), _unwrapped(ray):
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
        logging.getLogger(name).setLevel(logging.ERROR)
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
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise ArchiveError(f"--ray: {_first_line(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _unwrapped(ray: Any) -> Iterator[None]:
    """Raise what a worker raised, not the story of how it came here."""
    try:
        yield
    except ray.exceptions.RayError as error:
        seen: BaseException | None = error
        while seen is not None and not isinstance(seen, MmOrientError):
            seen = getattr(seen, "cause", None) or seen.__cause__
        if seen is not None:
            raise seen from None
        raise ArchiveError(f"--ray: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
