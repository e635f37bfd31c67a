"""The peers: which program, with which packages, under which promise; and how each is told what to do."""

import json
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from bench.device_times import H200
from worker.commands.stack.ports import free_ports

Load = Literal["device", "cold", "cached"]
_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
DEVICE = H200
BATCH = 256


@dataclass(frozen=True)
class Where:
    """What a program reads and writes.

    Args:
        kafka: addresses of the brokers.
        group: by which it reads.
        posts: topic.
        labels: topics of sentiment, sarcasm, offensiveness.
    """

    kafka: str
    group: str
    posts: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Peer:
    """One program.

    Args:
        name: of its row.
        packages: file in `requirements/`, without its ending.
        program: script in `apps/` and its arguments.
        promise: what its documentation says of repeats.
        joined: what its log says once it has partitions.
        more: variables of its own.
        faults: whether the chaos runner can break it as it breaks all others.
    """

    name: str
    packages: str
    program: tuple[str, ...]
    promise: str
    joined: bytes = b"partitions assigned"
    more: tuple[tuple[str, str], ...] = ()
    faults: bool = True

    def command(self) -> tuple[str, ...]:
        """Return how it is started; its environment is made where it is missing, which needs the network."""
        script, *arguments = self.program
        return (str(_python_with(self.packages)), str(_HERE / "apps" / script), *arguments)

    def environment(self, where: Where, *, session_seconds: float, load: Load = "device") -> dict[str, str]:
        """Return its variables.

        Args:
            where: what it reads and writes.
            session_seconds: silence after which the group gives its partitions to others.
            load: what the model is: one that is waited for, or the shipped one.
        """
        scratch = _folder() / "scratch" / f"{self.name}-{where.group}"
        scratch.mkdir(parents=True, exist_ok=True)
        return {
            "PEER_BROKER": where.kafka,
            "PEER_GROUP": where.group,
            "PEER_POSTS": where.posts,
            "PEER_LABELS": ",".join(where.labels),
            "PEER_BATCH": str(BATCH),
            "PEER_SESSION_SECONDS": f"{session_seconds:g}",
            "PEER_LOAD": "device" if load == "device" else "model",
            "PEER_MODEL_PATH": os.pathsep.join((str(_ROOT), sysconfig.get_paths()["purelib"])),
            "PEER_SCRATCH": str(scratch),
            "SIMULATED_DEVICE": json.dumps(DEVICE),
            "PEER_PORT": str(free_ports(1)[0]),
            **dict(self.more),
        }


PEERS = (
    Peer("faust-take", "faust", ("faust_take.py", "worker", "--loglevel", "warn", "--without-web"), "at least once"),
    Peer("faststream-aiokafka", "faststream", ("faststream_app.py", "aiokafka"), "at least once"),
    Peer("faststream-confluent", "faststream", ("faststream_app.py", "confluent"), "at least once"),
    Peer("quix", "quix", ("quix_app.py",), "exactly once", joined=b"now processing incoming messages"),
    Peer("arroyo", "arroyo", ("arroyo_app.py",), "at least once"),
    # It knows no group in which a worker could come and go.
    Peer("bytewax", "bytewax", ("bytewax_app.py",), "at least once", faults=False),
    # Its server is several processes more, of which the chaos runner knows nothing.
    Peer("mosec", "mosec", ("plain_app.py", "mosec"), "at least once", faults=False),
    Peer("authors", "plain", ("plain_app.py", "authors"), "at least once", more=(("PEER_CONTEXT", "batch"),)),
)
NAMES = tuple(one.name for one in PEERS)
BREAKABLE = tuple(one.name for one in PEERS if one.faults)


def peer(name: str) -> Peer:
    """Return a peer by its name."""
    return next(one for one in PEERS if one.name == name)


def _folder() -> Path:
    """Return where the peers' environments are: in the user's cache, outside the tree."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute()
    return root / "mm-orient-moderation" / "peers"


def _python_with(packages: str) -> Path:
    """Return the Python of an environment with the packages of a file; another file makes another environment."""
    file = _HERE / "requirements" / f"{packages}.txt"
    folder = _folder() / f"{packages}-{sha256(file.read_bytes()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    done = folder / "complete"
    if not done.exists():
        uv = str(Path(sys.executable).parent / "uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", str(python), "--requirements", str(file)]
        subprocess.run(install, check=True)
        done.touch()
    return python
