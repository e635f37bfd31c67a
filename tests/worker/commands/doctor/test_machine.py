"""What the doctor says of the machine, of containers and of clusters that no test has."""

import asyncio
import io
from pathlib import Path

import pytest
from rich.console import Console

from worker.commands.doctor.broker import Broker
from worker.commands.doctor.cgroups import ControlGroup
from worker.commands.doctor.dialling import Dialled, Node
from worker.commands.doctor.examination import Check, examine
from worker.commands.doctor.findings import Finding, Outcome, failure, ok
from worker.commands.doctor.links import DoctorLinks
from worker.commands.doctor.machine import MODEL_BYTES, Machine
from worker.commands.doctor.report import print_findings
from worker.commands.doctor.settings import _security_of
from worker.commands.doctor.topics import Topic, Topics
from worker.commands.listening import refuse_taken_address
from worker.commands.startup import refuse_half_log_in
from worker.errors import SettingsError
from worker.settings import KafkaSettings, Settings


async def said(checks: list[Check], name: str) -> Outcome:
    """Return what one check says."""
    (check,) = [check for check in checks if check.name == name]
    found = await check.look()
    return found if isinstance(found, Outcome) else found[0]


def group(root: Path, files: dict[str, str]) -> ControlGroup:
    """Return a control group as the files tell it."""
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return ControlGroup(root)


def test_limits_of_version_2(tmp_path: Path) -> None:
    """The tightest limit of a group and of those around it counts; what the page cache holds idle is free."""
    found = group(tmp_path, {
        "proc/self/cgroup": "0::/pod/worker\n",
        "sys/fs/cgroup/pod/worker/memory.max": "max\n",
        "sys/fs/cgroup/pod/memory.max": "1073741824\n",
        "sys/fs/cgroup/pod/worker/memory.current": "700\n",
        "sys/fs/cgroup/pod/worker/memory.stat": "anon 500\ninactive_file 200\n",
        "sys/fs/cgroup/pod/worker/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/pod/cpu.max": "max 100000\n",
    })  # fmt: skip
    assert (found.memory_bytes(), found.memory_used_bytes(), found.processors()) == (2**30, 500, 1.5)


def test_limits_of_version_1(tmp_path: Path) -> None:
    """In a container the path is the host's, and the files are at the mount."""
    found = group(tmp_path, {
        "proc/self/cgroup": "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n0::/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "100\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    })  # fmt: skip
    assert (found.memory_bytes(), found.memory_used_bytes(), found.processors()) == (2**29, 100, 0.5)


def test_no_limits(tmp_path: Path) -> None:
    """Where nothing is limited, or there are no control groups, nothing is known."""
    found = group(tmp_path, {
        "proc/self/cgroup": "4:memory:/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    })  # fmt: skip
    assert (found.memory_bytes(), found.processors()) == (None, None)
    assert ControlGroup(tmp_path / "none").memory_bytes() is None


@pytest.mark.parametrize(
    ("limit", "status"), [(MODEL_BYTES // 2, "failure"), (MODEL_BYTES + 1, "warning"), (4 * MODEL_BYTES, "ok")]
)
async def test_memory(tmp_path: Path, limit: int, status: str) -> None:
    """A container without the memory for a model is a failure, one without that for a trial a warning."""
    limits = group(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": f"{limit}\n"})
    found = await said(Machine(None, group=limits).checks(), "machine.memory")
    assert found.status == status
    assert status == "ok" or "resources.limits.memory" in (found.remedy or "")


@pytest.mark.parametrize(
    ("clocks", "status", "word"),
    [
        ({"the broker's": 0.01, "that of Redis": None}, "ok", "+10 ms"),
        ({"the broker's": 61.0, "that of Redis": 0.0}, "warning", "61.0 s behind the broker's"),
        ({"the broker's": None, "that of Redis": -3.0}, "warning", "3.0 s ahead of that of Redis"),
        ({"the broker's": None}, "skipped", "no other clock"),
    ],
)
async def test_clocks(clocks: dict[str, float | None], status: str, word: str) -> None:
    """A clock that is off by more than two seconds from the broker's or from Redis's is a warning."""
    found = await said(Machine(Settings(), clocks=lambda: clocks).checks(), "machine.clock")
    assert (found.status, word in found.says) == (status, True)


async def test_pages_out_of_the_probes_reach() -> None:
    """In a pod, pages on the loopback alone are a warning: probes come to the pod's address."""
    settings = Settings.model_validate({"http": {"port": 18080}})
    machine = Machine(settings, environment={"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    assert "MODERATE_HTTP__HOST=0.0.0.0" in ((await said(machine.checks(), "machine.port")).remedy or "")


async def test_doctor_and_worker_say_the_same_of_a_taken_port() -> None:
    """They ask the same code: what the worker refuses, the doctor calls a failure, with the same remedy."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        writer.close()

    reply = b"HTTP/1.0 200 OK\r\n\r\n{}"
    server = await asyncio.start_server(answer, "127.0.0.1")
    async with server:
        settings = Settings.model_validate({"http": {"port": server.sockets[0].getsockname()[1]}})
        found = await said(Machine(settings).checks(), "machine.port")
        with pytest.raises(SettingsError, match="port that is free") as refused:
            refuse_taken_address(settings.http)
        assert (found.status, str(found.remedy) in str(refused.value)) == ("failure", True)
        # A worker's own page: what runs here is fine, and a second one is refused all the same.
        reply = b'HTTP/1.0 200 OK\r\n\r\n{"loop_lag_seconds": 0.0}'
        found = await said(Machine(settings).checks(), "machine.port")
        assert (found.status, "ends with 2 without" in found.says) == ("ok", True)
        console = Console(file=io.StringIO(), width=200)
        print_findings([Finding("machine.port", found.status, found.says)], console)
        assert "runs here, a second one would not" in console.file.getvalue()  # type: ignore[attr-defined]
        with pytest.raises(SettingsError, match="is taken by another process"):
            refuse_taken_address(settings.http)


@pytest.mark.parametrize(
    ("given", "missing"),
    [({}, "SASL_USERNAME and MODERATE_KAFKA__SASL_PASSWORD"), ({"sasl_username": "u"}, "SASL_PASSWORD")],
)
def test_doctor_and_worker_say_the_same_of_half_a_log_in(given: dict[str, str], missing: str) -> None:
    """Whatever of the two is not set is named by both."""
    kafka = KafkaSettings.model_validate({"security_protocol": "SASL_SSL", **given})
    with pytest.raises(SettingsError, match=f"{missing}$"):
        refuse_half_log_in(kafka)
    (found,) = [one for one in _security_of(kafka) if one.status == "failure"]
    assert all(name in found.says for name in missing.split(" and "))


def a_broker(level: int, nodes: int) -> Broker:
    """Return a broker that was dialled."""
    broker = Broker(DoctorLinks("127.0.0.1:9092", KafkaSettings()))
    found = tuple(Node(number, "127.0.0.1", 9092 + number) for number in range(nodes))
    broker._dialled = [Dialled("127.0.0.1:9092", metadata_level=level, nodes=found)]
    return broker


@pytest.mark.parametrize(
    ("level", "nodes", "status", "words"),
    [(29, 1, "ok", "Kafka 4.2 "), (30, 1, "warning", "Kafka 4.3 "), (30, 3, "ok", "4.3"), (31, 1, "ok", "4.3 or newer"),
     (20, 1, "ok", "before 3.9")],
)  # fmt: skip
async def test_releases(level: int, nodes: int, status: str, words: str) -> None:
    """A lone Kafka 4.3 is a warning: it may skip commit markers."""
    found = await said(a_broker(level, nodes).checks(), "broker.version")
    assert (found.status, words in found.says) == (status, True)


async def test_one_replica_on_several_brokers() -> None:
    """Topics with a single replica where there are more brokers are a warning, on a lone one they are not."""
    parts = [{"partition": 0, "leader": 1, "replicas": [1], "isr": [1]}]
    for nodes, status in ((1, "ok"), (3, "warning")):
        topics = Topics(a_broker(29, nodes), Settings())
        topics.found = {name: Topic(name, parts, {}) for name in topics.names}
        assert (await said(topics.checks(), "topics.replication")).status == status


async def test_checks_wait_for_what_they_need() -> None:
    """What needs a failed check is skipped and names it; what raises, or never ends, is a failure of one line."""

    async def raises() -> Outcome:
        raise RuntimeError("two\nlines")

    async def hangs() -> Outcome:
        await asyncio.sleep(3600)
        return ok("never")

    async def fails() -> Outcome:
        return failure("broken", "repair it")

    async def works() -> Outcome:
        return ok("fine")

    checks = [
        Check("a.fails", fails),
        Check("b.needs", works, needs=("a.fails",)),
        Check("c.needs", works, needs=("b.needs",)),
        Check("d.raises", raises),
        Check("e.hangs", hangs, seconds=0.05, patience="wake it"),
        Check("f.after", works, after=("e.hangs",)),
    ]
    found = {one.check: one for one in await examine(checks, seconds=5)}
    assert {name: one.status for name, one in found.items()} == {
        "a.fails": "failure", "b.needs": "skipped", "c.needs": "skipped", "d.raises": "failure", "e.hangs": "failure",
        "f.after": "ok",
    }  # fmt: skip
    assert found["c.needs"].says == "needs a.fails"
    assert "two lines" in found["d.raises"].says
    assert found["e.hangs"].remedy == "wake it"
    late = await examine([Check("a.hangs", hangs), Check("b.late", works, after=("a.hangs",))], seconds=0.1)
    assert [(one.status, one.says) for one in late][1] == ("skipped", "no time was left")
