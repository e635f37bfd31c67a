"""`moderate audit` on a real Kafka: every fault that is put among honest outputs is found and named."""

import asyncio
import json
import signal
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from tests.worker.commands.audit.seeds import (
    DEAD,
    DELETED,
    END,
    MARKER,
    OTHER,
    VALUES,
    Seeds,
    Spoil,
    Written,
    request,
    stand,
    write,
    write_outputs,
)
from tests.worker.system import TASKS, Stream, administrator, sample_posts
from worker.commands.audit.command import audit_once
from worker.commands.demo.samples import FOLDER
from worker.commands.stack.ports import free_ports
from worker.errors import SettingsError

SARCASM = "sarcasm"


class Audit:
    """Audits, and reads what was said."""

    def __init__(self, stream: Stream, said: pytest.CaptureFixture[str]) -> None:
        self.stream = stream
        self._said = said

    async def __call__(self, **options: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Return the faults and the count; hold the count against the faults."""
        clean = await audit_once(request(self.stream, **options))
        *faults, count = map(json.loads, self._said.readouterr().out.splitlines())
        assert clean is count["clean"]
        return faults, count


@pytest.fixture
def audit(stream: Stream, capsys: pytest.CaptureFixture[str]) -> Audit:
    """Give a way to audit."""
    return Audit(stream, capsys)


def honest(_seeds: Seeds, records: list[Written]) -> list[Written]:
    """Spoil nothing."""
    return records


def without(offset: int, *tasks: str) -> Spoil:
    """Delete labels of a post."""
    return lambda seeds, records: [
        one for one in records if one.of != offset or one.topic not in map(seeds.stream.label_topic, tasks)
    ]


def doubled(offset: int, task: str) -> Spoil:
    """Write a label twice, one behind the other."""
    return lambda seeds, records: [
        one for record in records for one in [record] * (1 + (record == seeds.label(task, offset)))
    ]


def changed(offset: int, of: str, **changes: Any) -> Spoil:
    """Write another label in a label's place."""
    return lambda seeds, records: [
        seeds.label(of, offset, **changes) if one == seeds.label(of, offset) else one for one in records
    ]


def more(*what: tuple[str, int] | int) -> Spoil:
    """Write more labels (task and offset) or dead letters (offset), in their place."""

    def spoil(seeds: Seeds, records: list[Written]) -> list[Written]:
        added = [seeds.letter(one, b"x") if isinstance(one, int) else seeds.label(*one) for one in what]
        return sorted([*records, *added], key=lambda one: one.of)

    return spoil


def behind(offset: int, task: str, *, instead: bool) -> Spoil:
    """Write a label behind those of later posts, instead of where it belongs or once more."""
    return lambda seeds, records: [
        *(one for one in records if not instead or one != seeds.label(task, offset)),
        seeds.label(task, offset),
    ]


def second_letter(seeds: Seeds, records: list[Written]) -> list[Written]:
    """Write a dead letter twice."""
    return [one for record in records for one in [record] * (1 + (record.topic == seeds.stream.dead))]


def other_bytes(seeds: Seeds, records: list[Written]) -> list[Written]:
    """Change a dead letter's bytes."""
    return [replace(one, value=b"other") if one.topic == seeds.stream.dead else one for one in records]


def in_parts(number: int) -> Spoil:
    """Write a dead letter in three parts, of which the first `number` are there."""

    def spoil(seeds: Seeds, records: list[Written]) -> list[Written]:
        whole = VALUES[DEAD] or b""
        cuts = (whole[:3], whole[3:6], whole[6:])
        parts = [seeds.letter(DEAD, cut, moderate_part=b"%d/3" % n) for n, cut in enumerate(cuts, 1)]
        return [one for record in records for one in (parts[:number] if record.of == DEAD else [record])]

    return spoil


def garbage(seeds: Seeds, records: list[Written]) -> list[Written]:
    """Write what is no label to a label topic."""
    return [Written(seeds.stream.label_topic(SARCASM), seeds.partition, None, b"[]"), *records]


# What is done to a partition, and the faults that are found in it: kind and offset of the post.
CASES: Sequence[tuple[str, Spoil, Sequence[tuple[str, int | None]]]] = (
    ("nothing", honest, ()),
    ("a label deleted", without(1, SARCASM), [("missing", 1)]),
    ("all labels of a post deleted", without(1, *TASKS), [("missing", 1)]),
    ("the last label deleted", without(5, SARCASM), [("missing", 5)]),
    ("a dead letter deleted", lambda _, records: [one for one in records if one.of != DEAD], [("missing", DEAD)]),
    ("a label doubled", doubled(1, SARCASM), [("doubled", 1)]),
    ("a label in the wrong partition", changed(1, SARCASM, partition=0), [("wrong_partition", 1), ("missing", 1)]),
    (
        "a label of another checkpoint",
        changed(1, SARCASM, model={"checkpoint": OTHER}),
        [("wrong_checkpoint", 1)],
    ),
    ("labels and a dead letter", more(0), [("both", 0), ("changed", 0)]),
    ("two dead letters", second_letter, [("doubled", DEAD)]),
    ("a dead letter of other bytes", other_bytes, [("changed", DEAD)]),
    ("a label under another key", changed(5, SARCASM, key=b"other"), [("wrong_key", 5)]),
    ("a label of another task", changed(5, SARCASM, task="humour"), [("wrong_task", 5)]),
    ("a label of a deletion", more(*((task, DELETED) for task in TASKS)), [("unexpected", DELETED)]),
    ("a label of no post", more((SARCASM, MARKER)), [("no_such_post", MARKER)]),
    ("a label that comes late", behind(1, SARCASM, instead=True), [("missing", 1), ("late", 1)]),
    ("a label once more, later", behind(1, SARCASM, instead=False), [("doubled", 1)]),
    ("what is no label", garbage, [("unreadable", None)]),
    ("a dead letter that lacks a part", in_parts(2), [("unreadable", None), ("missing", DEAD)]),
    ("a dead letter in parts", in_parts(3), ()),
)


async def test_every_seeded_fault_is_found_and_named(stream: Stream, audit: Audit) -> None:
    """One fault a partition: each is named with its kind and position, and nothing else is."""
    await stream.create_topics(len(CASES))
    await write(stream, [spoil for _, spoil, _ in CASES])
    faults, count = await audit()
    found: dict[int, list[tuple[str, int | None]]] = {}
    for fault in faults:
        place = fault["post"] or fault["records"][0]
        partition = int(place.rpartition("[")[2].partition("]")[0])
        found.setdefault(partition, []).append(
            (fault["fault"], int(place.rpartition("@")[2]) if fault["post"] else None)
        )
    for partition, (name, _, expected) in enumerate(CASES):
        assert sorted(found.get(partition, []), key=str) == sorted(expected, key=str), name
    assert count["offsets"] == len(CASES) * END
    assert sum(count["faults"].values()) == len(faults)
    at = next(fault for fault in faults if fault["fault"] == "wrong_partition")["records"]
    assert at == [f"{stream.label_topic(SARCASM)}[0]@3"]


async def test_an_honest_stream_is_clean_and_counted(stream: Stream, audit: Audit) -> None:
    """Each offset is counted once, by what became of it."""
    await stream.create_topics(2)
    await write(stream, [honest, honest])
    faults, count = await audit()
    assert not faults
    assert {name: number for name, number in count["outcomes"].items() if number} == {
        "labelled": 6,
        "dead_lettered": 2,
        "deletion": 4,
        "no_record": 2,
    }
    assert (count["offsets"], count["pending"], count["clean"]) == (2 * END, 0, True)


async def test_what_is_not_committed_is_no_fault(stream: Stream, audit: Audit) -> None:
    """Posts behind the group's offset are pending; without an offset, those behind the last output are."""
    await stream.create_topics(1)
    await write(stream, [without(5, *TASKS)], settle=False)
    faults, count = await audit()
    assert (faults, count["pending"]) == ([], END - DEAD - 1)
    await stand(stream, {0: 2})
    faults, count = await audit()
    assert (faults, count["offsets"], count["pending"]) == ([], 2, END - 2)
    await stand(stream, {0: END})
    faults, _ = await audit()
    assert [(fault["fault"], fault["post"]) for fault in faults] == [("missing", f"{stream.posts}[0]@5")]


async def test_it_goes_on_where_it_was(stream: Stream, audit: Audit) -> None:
    """With --progress nothing is looked at twice, the count is of all runs, and each fault is named once."""
    keep = f"{stream.name}.audit"
    await stream.create_topics(2)
    await write(stream, [without(1, SARCASM), without(5, SARCASM)], settle=False)
    await stand(stream, {0: 2, 1: 2})
    faults, count = await audit(progress=keep)
    assert [fault["post"] for fault in faults] == [f"{stream.posts}[0]@1"]
    assert count["offsets"] == 4
    await stand(stream, {0: END, 1: END})
    faults, count = await audit(progress=keep)
    assert [fault["post"] for fault in faults] == [f"{stream.posts}[1]@5"]
    assert (count["offsets"], count["faults"]["missing"]) == (2 * END, 2)
    # What comes later is found, too: a second label of a post that was judged before.
    await write_outputs(stream, [[Seeds(stream, 0).label(SARCASM, 0)]])
    faults, count = await audit(progress=keep)
    assert [(fault["fault"], fault["post"]) for fault in faults] == [("doubled", f"{stream.posts}[0]@0")]
    faults, count = await audit(progress=keep)
    assert (faults, count["offsets"], count["clean"]) == ([], 2 * END, False)
    other = request(stream, progress=keep)
    routes = {"sarcasm": stream.label_topic("sarcasm")}
    kafka = other.terms.kafka.model_copy(update={"routes": routes})
    with pytest.raises(SettingsError, match="keeps no audit of these topics"):
        await audit_once(replace(other, terms=replace(other.terms, kafka=kafka)))


async def test_what_retention_took_is_not_missing(stream: Stream, audit: Audit) -> None:
    """Outputs that expired before their posts are counted as such; what should be there still is looked for."""
    await stream.create_topics(1)
    await write(stream, [without(5, SARCASM)])
    async with administrator(stream) as admin:
        topic = stream.label_topic(SARCASM)
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=1)})
    faults, count = await audit()
    assert [fault["post"] for fault in faults] == [f"{stream.posts}[0]@5"]
    assert (count["outcomes"]["expired"], count["outcomes"]["labelled"]) == (1, 1)
    async with administrator(stream) as admin:
        await admin.delete_records({TopicPartition(stream.posts, 0): RecordsToDelete(before_offset=2)})
    _, count = await audit()
    assert count["offsets"] == END - 2


async def test_from_a_later_offset(stream: Stream, audit: Audit) -> None:
    """What is before it is nobody's matter, its faults included."""
    await stream.create_topics(1)
    await write(stream, [doubled(0, SARCASM)])
    faults, count = await audit(start="1")
    assert (faults, count["offsets"]) == ([], END - 1)


@pytest.mark.soak
async def test_the_stream_of_a_real_worker_is_clean_and_a_fault_in_it_is_not(stream: Stream) -> None:
    """As a user sees it: exit code 0, then 3 with the fault's position; another checkpoint than expected is named."""
    await stream.create_topics(2)
    values = [*sample_posts(FOLDER, 24), b"no post", None]
    labelled = len(values) - 2
    positions = await stream.feed(values, 2)
    worker = await stream.start()
    await stream.settled(positions, 120)
    assert await worker.end() == 0
    code, said, errors = await stream.command("audit")
    assert (code, errors) == (0, "")
    assert f"labelled{labelled:>13}" in said
    await write_outputs(stream, [[Seeds(stream, 1).label(SARCASM, 0)]])
    code, said, _ = await stream.command("audit")
    assert code == 3
    assert f"{stream.posts}[1]@0: one more output on {stream.label_topic(SARCASM)}" in said
    code, said, _ = await stream.command("audit", "--json", "--limit", "2", "--expect-checkpoint", OTHER)
    assert (code, json.loads(said.splitlines()[-1])["faults"]["wrong_checkpoint"]) == (3, labelled * len(TASKS))
    assert len(said.splitlines()) == 3


async def test_following_serves_what_an_alert_needs(stream: Stream) -> None:
    """With --follow the counters begin at 0, move with a fault, and the end says the count."""
    await stream.create_topics(1)
    await write(stream, [honest])
    port = str(free_ports(1)[0])
    process = await stream.spawn(
        "audit", "--follow", "--every", "0.2", "--expect-checkpoint", "any", "--json", HTTP__PORT=port
    )
    metric = 'moderate_audit_faults_total{kind="doubled"}'
    seen = [await _value(port, 'moderate_audit_offsets_total{outcome="labelled"}', 3), await _value(port, metric, 0)]
    await write_outputs(stream, [[Seeds(stream, 0).label(SARCASM, 0)]])
    seen.append(await _value(port, metric, 1))
    assert seen == [3, 0, 1]
    process.send_signal(signal.SIGTERM)
    output, errors = await process.communicate()
    assert (process.returncode, errors) == (3, b"")
    assert json.loads(output.splitlines()[-1])["faults"]["doubled"] == 1


async def _value(port: str, metric: str, wanted: float) -> float | None:
    """Return a metric's value once it is `wanted`, or its last one after some seconds."""
    value: float | None = None
    async with httpx.AsyncClient(trust_env=False, transport=httpx.AsyncHTTPTransport(retries=20)) as client:
        for _ in range(100):
            try:
                page = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
            except httpx.HTTPError:
                continue
            lines = [line for line in page.splitlines() if line.startswith(metric)]
            value = float(lines[0].rpartition(" ")[2]) if lines else None
            if value == wanted:
                break
            await asyncio.sleep(0.1)
    return value
