"""Several brokers of one Kafka, each of them a controller too.

Their number and ports stand in a file of the stack's folder: each must know all others' ports before it starts.
"""

import json
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.commands.stack.kafka import KafkaRecipe
from worker.commands.stack.ports import free_ports, is_free
from worker.commands.stack.server import Say, Server
from worker.errors import FatalError

FILE = "cluster.json"
# Three Java processes and a worker must fit into a small machine.
HEAP_MEGABYTES = 256
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05
_PORTS = 2
_MOST_REPLICAS = 3
_PROPERTIES = """\
node.id={number}
controller.quorum.voters={voters}
default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=3
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
"""

Ports = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Cluster:
    """What a stack's folder says of its brokers.

    Args:
        folder: of the stack.
    """

    folder: Path

    @property
    def ports(self) -> Ports:
        """Each broker's ports, those for clients first; empty where there is no cluster.

        Raises:
            FatalError: the file cannot be read.
        """
        path = self.folder / FILE
        try:
            return tuple((int(port), int(controller)) for port, controller in json.loads(path.read_bytes())["ports"])
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except (ValueError, KeyError, TypeError) as error:
            raise FatalError(f"{path} cannot be read ({error}): remove the folder") from error

    def servers(self, count: int, *, heap_megabytes: int | None, session_seconds: float) -> list[Server]:
        """Return so many brokers, each in a folder of its own."""
        heap = HEAP_MEGABYTES if heap_megabytes is None else heap_megabytes
        made = []
        for number in range(1, count + 1):
            recipe = MemberRecipe(self, number, heap_megabytes=heap, session_seconds=session_seconds)
            made.append(Server(recipe, self.folder / recipe.name, ports=recipe.ports))
        return made

    def settle_ports(self, servers: Sequence[Server]) -> None:
        """Keep the ports of the last time where they are free or a broker has them; else choose all anew.

        Raises:
            FatalError: a broker runs, and a port of another one is taken.
        """
        last = self.ports
        down = [number for number, server in enumerate(servers) if server.pid is None]
        if len(last) == len(servers):
            taken = [port for number in down for port in last[number] if not is_free(port)]
            if not taken:
                return
            if len(down) < len(servers):
                raise FatalError(f"port {taken[0]} of a broker in {self.folder} is taken: stop the stack first")
        found = free_ports(_PORTS * len(servers))
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = (self.folder / FILE).with_suffix(".draft")
        pairs = [found[start : start + _PORTS] for start in range(0, len(found), _PORTS)]
        draft.write_text(json.dumps({"ports": pairs}), encoding="utf-8")
        draft.rename(self.folder / FILE)

    def clear(self) -> None:
        """Remove the file."""
        (self.folder / FILE).unlink(missing_ok=True)
        (self.folder / FILE).with_suffix(".draft").unlink(missing_ok=True)


class MemberRecipe(KafkaRecipe):
    """One broker of several.

    Args:
        cluster: its ports and the others'.
        number: from 1 on.
        heap_megabytes, session_seconds: as for one broker.
    """

    def __init__(self, cluster: Cluster, number: int, *, heap_megabytes: int, session_seconds: float) -> None:
        super().__init__(heap_megabytes=heap_megabytes, session_seconds=session_seconds)
        self.name = f"kafka-{number}"
        # All of them start at once, on the same cores.
        self.start_seconds *= 2
        self._cluster = cluster
        self._number = number

    def ports(self) -> tuple[int, ...]:
        """Return its own."""
        return self._cluster.ports[self._number - 1]

    def prepare(self, folder: Path, ports: tuple[int, ...], say: Say) -> list[str]:
        """Write the settings, the others' addresses among them; return the command."""
        voters = [f"{number}@127.0.0.1:{both[1]}" for number, both in enumerate(self._cluster.ports, 1)]
        replicas = min(_MOST_REPLICAS, len(voters))
        self._more = _PROPERTIES.format(
            number=self._number, voters=",".join(voters), replicas=replicas, in_sync=max(1, replicas - 1)
        )
        return super().prepare(folder, ports, say)

    def _make_own(self, data: Path) -> None:
        """Give a copied data folder this broker's number, and an identity that no other folder has."""
        path = data / "meta.properties"
        said = re.sub(r"(?m)^node\.id=.*$", f"node.id={self._number}", path.read_text(encoding="utf-8"))
        path.write_text(re.sub(r"(?m)^directory\.id=.*$", f"directory.id={_directory_id()}", said), encoding="utf-8")


def start_together(servers: Sequence[Server], say: Say) -> None:
    """Make all answer: none does before most of them run.

    Raises:
        FatalError: one does not start; those that this call started do not run any more.
    """
    started = [server for server in servers if server.pid is None]
    try:
        for server in servers:
            server.launch(say)
        for server in servers:
            server.wait_started()
    except BaseException:
        for server in started:
            server.kill()
        raise


def stop_together(servers: Sequence[Server]) -> None:
    """End all, gently first: the last ones may wait in vain for a controller and are killed then."""
    for server in servers:
        server.ask_to_end()
    deadline = time.monotonic() + _STOP_SECONDS
    while any(server.pid is not None for server in servers) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    for server in servers:
        server.kill()


def _directory_id() -> str:
    """Return a random identity as Kafka writes them; not one with a leading dash, which its tools would refuse."""
    return urlsafe_b64encode(b"\x01" + secrets.token_bytes(15)).decode().rstrip("=")
