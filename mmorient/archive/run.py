"""One labelling into a file or a folder: begun, gone on with, or found complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

from mmorient.archive.inputs import Inputs
from mmorient.archive.labelling import Labelled
from mmorient.archive.reading import Place
from mmorient.archive.resuming import State, StateFile
from mmorient.archive.writing import Output
from mmorient.errors import ArchiveUsageError

Engine = Callable[[Place], Iterator[Labelled]]
"""Labels an archive from a place on."""


def begun(output: Output, states: StateFile, inputs: Inputs, *, resume: bool, overwrite: bool) -> State | None:
    """Return the state to go on from; None where the output begins.

    Args:
        output: As it was found.
        states: Of the output.
        inputs: The archive's.
        resume: Whether to go on with what is there.
        overwrite: Whether to replace it.

    Raises:
        ArchiveUsageError: Something is there, and neither is asked for; or it cannot be gone on with.
    """
    if overwrite:
        return None
    state = states.load()
    if not resume and (state is not None or output.exists):
        raise ArchiveUsageError(f"{output.path}: is there already; --resume goes on with it, --overwrite replaces it")
    if state is None and output.exists:
        raise ArchiveUsageError(f"{output.path}: cannot be gone on with, there is no {states.path.name} beside it")
    if state is not None and (differs := inputs.difference(state.inputs, state.contents, state.sizes)):
        raise ArchiveUsageError(
            f"{output.path}: was begun with other inputs ({differs}); name the same ones, or --overwrite"
        )
    return state


def label_to(
    output: Output, states: StateFile, engine: Engine, fresh: State, inputs: Inputs, *, resume: bool, overwrite: bool
) -> tuple[State, bool]:
    """Label into an output, so that a kill at any point costs nothing but time.

    Args:
        output: Where the labels go.
        states: Of the output.
        engine: Labels from a place on.
        fresh: The state of a run that begins.
        inputs: The archive's.
        resume: Whether to go on with what is there.
        overwrite: Whether to replace it.

    Returns:
        The last state, and whether there was anything left to do.

    Raises:
        ArchiveUsageError: The output is another run's, or cannot be gone on with.
    """
    with closing(output):
        output.claim()
        state = begun(output, states, inputs, resume=resume, overwrite=overwrite)
        if state is None:
            state = fresh
            # Before anything is cut off: an old state would speak for bytes that are gone.
            states.save(state)
        for name in {**state.model, **fresh.model}:
            if (old := state.model.get(name)) != (new := fresh.model.get(name)):
                raise ArchiveUsageError(
                    f"{output.path}: was begun with {name} {old or 'none'}, not {new or 'none'}; take the same, or "
                    "--overwrite"
                )
        output.open(state)
        worked = not state.finished
        if worked:
            state = _write(engine(state.place), output, states, state)
        output.tidy()
        return state, worked


def _write(labelled: Iterator[Labelled], output: Output, states: StateFile, state: State) -> State:
    for one in labelled:
        state = state.model_copy(
            update={
                "file": one.end.file,
                "row": one.end.row,
                "posts": state.posts + len(one.lines),
                "refused": state.refused + len(one.refused),
            }
        )
        if (kept := output.write(one.lines, state)) is not None:
            states.save(kept)
    state = output.settle(state)
    states.save(state)
    output.complete()
    state = state.model_copy(update={"finished": True})
    states.save(state)
    return state
