"""The programs under test: the worker, the plain constructions that must not pass, and the peers of `bench.peers`."""

import json
import sys
from pathlib import Path

from bench.peers import peers
from tests.chaos.fleet import Subject
from tests.worker.system import TASKS, Stream
from worker.commands.stack.ports import free_ports

HOOKS = Path(__file__).parent.parent / "worker" / "hooks"
SESSION_SECONDS = 3.0
TRANSACTION_SECONDS = 10.0
CONTROLS = ("faust-take", "transactional-loop")
# The worker on a device that is only waited for, as the peers have it.
SIMULATED = "simulated-worker"
PEERS = tuple(f"peer-{name}" for name in peers.BREAKABLE)
SUBJECTS = ("worker", *CONTROLS, SIMULATED, *PEERS)
# Two cores hold three workers and a broker only if no worker takes them all for one matrix.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def subject(name: str, stream: Stream, name_server: str) -> Subject:
    """Return how a program under test is started.

    Args:
        name: one of `SUBJECTS`.
        stream: its topics.
        name_server: host:port of who knows the pictures' host.
    """
    if name == "worker":
        command = (sys.executable, "-m", "worker", "run")
        return Subject(command, lambda: worker_environment(stream, name_server, hooks=True), b"lane_open")
    if name == SIMULATED:
        command = (sys.executable, "-m", "bench.simulated_worker", "run")
        device = {"SIMULATED_DEVICE": json.dumps(peers.DEVICE)}
        return Subject(command, lambda: worker_environment(stream, name_server, hooks=False) | device, b"lane_open")
    if name in PEERS:
        peer = peers.peer(name.removeprefix("peer-"))
        where = peers.Where(
            stream.servers.kafka, stream.name, stream.posts, tuple(stream.label_topic(task) for task in TASKS)
        )
        variables = peer.environment(where, session_seconds=SESSION_SECONDS)
        return Subject(peer.command(), lambda: _ONE_THREAD | variables, peer.joined)
    module = f"tests.chaos.controls.{name.replace('-', '_')}"
    environment = _ONE_THREAD | {
        "CONTROL_BROKER": stream.servers.kafka,
        "CONTROL_GROUP": stream.name,
        "CONTROL_POSTS": stream.posts,
        "CONTROL_LABELS": ",".join(stream.label_topic(task) for task in TASKS),
        "CONTROL_SESSION_SECONDS": str(SESSION_SECONDS),
        "CONTROL_TRANSACTION_SECONDS": str(TRANSACTION_SECONDS),
    }
    arguments = ("worker", "--loglevel", "warn", "--without-web") if name == "faust-take" else ()
    return Subject((sys.executable, "-m", module, *arguments), lambda: environment, b"partitions assigned")


def worker_environment(stream: Stream, name_server: str, *, hooks: bool, **settings: str) -> dict[str, str]:
    """Return a worker's variables, with a port of its own.

    Args:
        stream: its topics.
        name_server: host:port of who knows the pictures' host.
        hooks: whether some pictures kill it.
        settings: more of them, as `Stream.environment` takes them.
    """
    environment = stream.environment(
        HTTP__PORT=str(free_ports(1)[0]),
        LOG__FORMAT="json",
        KAFKA__TRANSACTION_TIMEOUT_SECONDS=f"{TRANSACTION_SECONDS:g}",
        KAFKA__METADATA_MAX_AGE_SECONDS="3",
        # By network, for its name is to be asked of that name server.
        MEDIA__ALLOWED_PRIVATE_HOSTS='["127.0.0.0/8"]',
        **settings,
    )
    # In the sandbox they would cost their posts a picture, and nobody else anything.
    killing = {"MODERATE_MEDIA__SANDBOX": "false"} if hooks else {"TEST_HARMLESS": "1"}
    names = {"PYTHONPATH": str(HOOKS), "TEST_NAME_SERVER": name_server}
    return environment | _ONE_THREAD | names | killing
