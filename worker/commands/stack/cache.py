"""What stacks share and need make only once, in the user's cache folder; and locks between processes."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.commands.stack.server import Say


def cache_folder() -> Path:
    """Return the folder, made where it is missing."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute()
    folder = root / "mm-orient-moderation"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(path: Path, say: Say) -> Iterator[None]:
    """Let one process at a time in; the lock goes with the process, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process to leave {path.parent} …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def make_folder(target: Path) -> Iterator[Path]:
    """Give a draft that becomes `target` when the block is done, so that a folder that is there is complete."""
    draft = target.with_name(f"{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
