"""A server of the stack: a recipe (how Kafka, how Redis is started and asked) in a process of its own."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from worker.commands.stack.ports import free_ports, is_free
from worker.commands.stack.process import ServerProcess
from worker.errors import FatalError

Say = Callable[[str], None]

_START_TRIES = 3
# An `up` that was killed may have left a server that is still starting; a broken one is started anew after this.
_SILENCE_SECONDS = 20.0


class Recipe(Protocol):
    """How one kind of server is started and asked."""

    name: str
    port_count: int
    start_seconds: float
    files: tuple[str, ...]

    def address(self, ports: tuple[int, ...]) -> str:
        """Return where clients find it."""

    def prepare(self, folder: Path, ports: tuple[int, ...], say: Say) -> list[str]:
        """Write what it needs into the folder and return the command that starts it there."""

    def answers(self, address: str) -> bool:
        """Return whether it serves requests."""


class Server(ServerProcess):
    """One server in a folder.

    Args:
        recipe: how it is started and asked.
        folder: data, log and mark.
        ports: gives its ports, where others must know them; else it keeps its own, or takes free ones.
    """

    def __init__(self, recipe: Recipe, folder: Path, *, ports: Callable[[], tuple[int, ...]] | None = None) -> None:
        super().__init__(recipe.name, folder)
        self._recipe = recipe
        self._given_ports = ports

    @property
    def address(self) -> str | None:
        """Where clients find it, or None where it is not running."""
        mark = self.mark()
        return None if mark is None or self.pid is None else self._recipe.address(mark.ports)

    def answers(self) -> bool:
        """Return whether it runs and serves requests."""
        address = self.address
        return address is not None and self._recipe.answers(address)

    def up(self, say: Say) -> None:
        """Make it answer: wait for it where it runs; else start it, with the data and on the ports of the last time.

        Raises:
            FatalError: it does not start; nothing of it is left running.
        """
        if self.pid is not None:
            self.resume()
            try:
                self.wait_until(self.answers, _SILENCE_SECONDS)
            except FatalError:
                say(f"{self.name} runs and does not answer: starting it anew")
                self.stop()
            else:
                say(f"{self.name} is up already")
                return
        for tries_left in reversed(range(_START_TRIES)):
            try:
                self._start(say)
            except BaseException as error:
                self.stop()
                taken = isinstance(error, FatalError) and "Address already in use" in self.new_log()
                if not taken or not tries_left:
                    raise
            else:
                return

    def launch(self, say: Say) -> None:
        """Start it where it does not run, and let it go on where it is paused; wait for nothing."""
        if self.pid is not None:
            self.resume()
            return
        ports = self._ports()
        self.folder.mkdir(parents=True, exist_ok=True)
        command = self._recipe.prepare(self.folder, ports, say)
        say(f"starting {self.name} …")
        self.start(command, ports)

    def wait_started(self) -> None:
        """Wait until it answers.

        Raises:
            FatalError: it ended, or does not answer in time.
        """
        self.wait_until(lambda: self.listens() and self.answers(), self._recipe.start_seconds)

    def restart(self, say: Say = lambda _: None) -> None:
        """Stop it, gently if it runs, and start it again on the same ports.

        Raises:
            FatalError: it does not start.
        """
        self.stop()
        self.up(say)

    def clear(self, *, keep_log: bool = False) -> None:
        """Remove its data and files; other people's files in the folder stay."""
        self.mark_path.unlink(missing_ok=True)
        self.mark_path.with_suffix(".draft").unlink(missing_ok=True)
        for path in (self.folder / name for name in self._recipe.files):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        if not keep_log:
            self.log_path.unlink(missing_ok=True)

    def _start(self, say: Say) -> None:
        self.launch(say)
        self.wait_started()

    def _ports(self) -> tuple[int, ...]:
        if self._given_ports is not None:
            return self._given_ports()
        mark = self.mark()
        if mark is not None and len(mark.ports) == self._recipe.port_count and all(map(is_free, mark.ports)):
            return mark.ports
        return free_ports(self._recipe.port_count)
