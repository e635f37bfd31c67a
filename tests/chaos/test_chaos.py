"""The chaos runner: its plan, its count, and short real runs of it."""

import base64
import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.chaos.audit import Fed, Found, Outcome, Position, compare, count, read_found, read_posts
from tests.chaos.plan import FAMILIES, WORKER_KINDS, make_plan
from tests.chaos.posts import entries, poison
from tests.chaos.progress import Sample, Span, longest_standstill, recovered_at, stall_after

_RUN_SECONDS = 900
TOPICS = ("labels.sentiment", "labels.sarcasm")
QUIET = {topic: f"quiet.{topic}" for topic in TOPICS}
POSTS = {
    (0, 0): Fed("labels", b"{}", b"a"),
    (0, 1): Fed("decode", b"?", b"b"),
    (1, 0): Fed("labels", b"{}", b"c"),
    (1, 1): Fed("poison", b"{!}", b"d"),
}
GOOD: tuple[Position, ...] = ((0, 0), (1, 0))


@dataclass
class Record:
    """What the audit uses of a Kafka record."""

    partition: int
    offset: int = 0
    value: bytes | None = b"{}"
    key: bytes | None = None
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def found(topics: tuple[str, ...] = TOPICS) -> Found:
    """Return what a run without faults leaves of `POSTS`."""
    return Found(
        labels={topic: {position: [f"{position}".encode()] for position in GOOD} for topic in topics},
        dead_letters={(0, 1): [("decode", b"?")], (1, 1): [("poison", b"{!}")]},
    )


def audited(changed: Found) -> Outcome:
    """Return the count of `POSTS`, compared with a quiet run."""
    outcome = count(POSTS, changed, TOPICS)
    compare(outcome, POSTS, changed, found(tuple(QUIET.values())), QUIET)
    return outcome


def test_same_seed_same_plan() -> None:
    """A plan depends on its seed and minutes alone."""
    assert make_plan(7, 3) == make_plan(7, 3)
    assert make_plan(7, 3) != make_plan(8, 3)


@pytest.mark.parametrize("seed", range(20))
def test_every_plan_holds_its_shares(seed: int) -> None:
    """Three minutes hold at least 9 kill -9, 5 pauses, 5 rebalances, a broker kill and an outage of Redis."""
    kinds = Counter(step.kind for steps in make_plan(seed, 3) for step in steps)
    assert kinds["worker-kill"] >= 9
    assert kinds["worker-pause"] >= 5
    assert kinds["scale-up"] + kinds["scale-down"] + kinds["worker-restart"] >= 5
    assert kinds["broker-kill"] >= 1
    assert kinds["redis-kill"] >= 1
    assert kinds["partitions-added"] <= 1


@pytest.mark.parametrize("seed", range(20))
def test_a_short_plan_holds_one_of_each_that_matters(seed: int) -> None:
    """A minute holds 3 kill -9, a pause, a SIGTERM, a broker kill, an outage of Redis, and one of the quiet faults.

    These are partitions that cannot be written, one that cannot be read, and a host of pictures that is of no use.
    """
    kinds = Counter(step.kind for steps in make_plan(seed, 0.9) for step in steps)
    assert kinds["worker-kill"] >= 3
    assert min(kinds[kind] for kind in ("worker-pause", "worker-restart", "broker-kill", "redis-kill")) >= 1
    assert min(kinds["labels-under-min-isr"], kinds["damaged-batch"]) >= 1
    assert kinds["picture-tarpit"] + kinds["dns-blackhole"] >= 1


def test_many_plans_hold_every_kind_and_overlap_some() -> None:
    """What is rare comes up over some seeds; one fault of each server at a time, never all workers at once."""
    rounds = [steps for seed in range(12) for steps in make_plan(seed, 3)]
    assert {step.kind for steps in rounds for step in steps} == set(FAMILIES)
    assert 0.2 < sum(len(steps) > 1 for steps in rounds) / len(rounds) < 0.8
    for steps in rounds:
        families = Counter(step.family for step in steps)
        assert families["broker"] <= 1
        assert families["redis"] <= 1
        assert families["pictures"] <= 1
        assert families["worker"] <= 2


def test_plans_of_some_kinds_hold_no_other() -> None:
    """Controls are hit where workers are."""
    assert {step.kind for steps in make_plan(1, 3, WORKER_KINDS) for step in steps} <= WORKER_KINDS


def test_a_linked_picture_that_could_not_be_had_is_no_other_label() -> None:
    """Where the label says so itself, and its post has a link; any other difference counts."""
    linked = Fed("labels", b'{"media": [{"url": "http://pictures.example/1.png"}]}', b"a")
    without = b'{"unavailable": [{"index": 0, "reason": "fetch_timeout"}]}'
    runs = {}
    for name, post, label in (
        ("said", linked, without),
        ("silent", linked, b'{"unavailable": []}'),
        ("no link", Fed("labels", b"{}", b"b"), without),
    ):
        outcome = Outcome()
        ours, theirs = ({topic: {(0, 0): [text]}} for topic, text in (("t", label), ("q", b"{}")))
        compare(outcome, {(0, 0): post}, Found(labels=ours), Found(labels=theirs), {"t": "q"})
        runs[name] = (outcome.without_picture, outcome.differing)
    assert runs == {"said": (1, 0), "silent": (0, 1), "no link": (0, 1)}


def test_posts_are_the_same_for_a_seed_and_of_all_sorts() -> None:
    """Texts, repeated texts, pictures, and records that are none; poison is a picture that can be opened."""
    first = list(islice(entries(3), 400))
    assert first == list(islice(entries(3), 400))
    linked = list(islice(entries(3, "http://pictures.example:1"), 400))
    assert 5 < sum(b'"url"' in (entry.value or b"") for entry in linked) < 40
    assert {entry.expect for entry in first} >= {"labels", "decode"}
    assert any(entry.value and b"image/png" in entry.value for entry in first)
    assert any(entry.value is None for entry in islice(entries(3), 3000))
    content = base64.b64decode(json.loads(poison(0).value or b"")["media"][0]["data"])
    assert Image.open(BytesIO(content)).text == {"comment": "moderate-test:abort"}


def test_a_clean_run_is_clean() -> None:
    """Every post once, every dead letter of its stage, the same bytes as without faults."""
    outcome = audited(found())
    assert outcome.clean
    assert (outcome.fed, outcome.labelled, outcome.compared) == (4, 2, 4)
    assert outcome.dead_lettered == {"decode": 1, "poison": 1}


def lose_label(run: Found) -> None:
    """Take one of a post's labels away."""
    del run.labels[TOPICS[1]][(1, 0)]


def lose_dead_letter(run: Found) -> None:
    """Take a dead letter away."""
    del run.dead_letters[(1, 1)]


def double_label(run: Found) -> None:
    """Write a label twice."""
    run.labels[TOPICS[0]][(0, 0)] *= 2


def double_dead_letter(run: Found) -> None:
    """Write a dead letter twice."""
    run.dead_letters[(0, 1)] *= 2


def label_a_stranger(run: Found) -> None:
    """Write a label of a post that is not there."""
    run.labels[TOPICS[0]][(5, 5)] = [b"x"]


def change_label(run: Found) -> None:
    """Write other bytes."""
    run.labels[TOPICS[0]][(1, 0)] = [b"other"]


def bury_a_good_post(run: Found) -> None:
    """Make a dead letter of a post that can be labelled."""
    for topic in TOPICS:
        del run.labels[topic][(0, 0)]
    run.dead_letters[(0, 0)] = [("poison", b"{}")]


def change_dead_letter(run: Found) -> None:
    """Write a dead letter with other bytes than its post."""
    run.dead_letters[(0, 1)] = [("decode", b"!")]


def label_poison(run: Found) -> None:
    """Label what should be a dead letter."""
    del run.dead_letters[(1, 1)]
    for topic in TOPICS:
        run.labels[topic][(1, 1)] = [b"x"]


def misplace(run: Found) -> None:
    """Write into another partition."""
    run.elsewhere.append((0, 0))


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lose_label, "lost"),
        (lose_dead_letter, "lost"),
        (double_label, "duplicated"),
        (double_dead_letter, "duplicated"),
        (label_a_stranger, "duplicated"),
        (change_label, "differing"),
        (bury_a_good_post, "unexpected"),
        (change_dead_letter, "unexpected"),
        (label_poison, "missing_dead_letters"),
        (misplace, "wrong_partition"),
    ],
)
def test_the_audit_finds_it(change: Any, kind: str) -> None:
    """Each thing that can be wrong is counted as what it is, once, and named."""
    run = found()
    change(run)
    outcome = audited(run)
    assert not outcome.clean
    assert getattr(outcome, kind) == 1
    assert len(outcome.examples[kind]) == 1
    assert set(outcome.examples) == {kind}


def test_records_are_read_by_the_position_of_their_post() -> None:
    """A label belongs to the post that its `source` names, a stub's to the post of its key."""
    posts = read_posts(
        [Record(2, 7, headers=[("chaos-expect", b"decode")], key=b"p-1"), Record(3, 1, key=b"p-2", value=None)]
    )
    assert posts == {(2, 7): Fed("decode", b"{}", b"p-1"), (3, 1): Fed("labels", None, b"p-2")}
    label = json.dumps({"post_id": "p-1", "source": {"partition": 2, "offset": 7}}).encode()
    headers = [
        (f"__connect.errors.{name}", value)
        for name, value in {"partition": b"3", "offset": b"1", "stage": b"media"}.items()
    ]
    run = read_found({"t": [Record(0, value=label)]}, [Record(3, headers=headers, value=None)], posts, stub=False)
    assert run.labels == {"t": {(2, 7): [label]}}
    assert run.dead_letters == {(3, 1): [("media", None)]}
    assert run.elsewhere == [(2, 7)]
    stub = json.dumps({"post_id": "p-2"}).encode()
    assert read_found({"t": [Record(0, value=stub)]}, [], posts, stub=True).labels == {"t": {(3, 1): [stub]}}


def samples(*done: tuple[int, int], fed: int = 100) -> list[Sample]:
    """Return one sample a second of two partitions."""
    return [Sample(float(at), {0: fed, 1: fed}, {0: one, 1: two}) for at, (one, two) in enumerate(done)]


def test_a_stall_ends_when_the_last_partition_moves_on() -> None:
    """From the end of the fault to the first commit of the slowest partition."""
    seen = samples((5, 5), (5, 5), (5, 5), (6, 5), (7, 5), (8, 9), (9, 10))
    assert recovered_at(seen, 0.5) == 5
    assert stall_after(seen, Span(0.5, 0.5), []) == 4.5
    assert stall_after(seen, Span(0.5, 0.5), [], aside={1}) == 2.5
    assert recovered_at(seen[:5], 0.5) is None
    assert longest_standstill(seen, lambda *_: False) == 4


def test_what_was_committed_before_a_fault_is_no_recovery() -> None:
    """A commit between the last look and the fault does not count."""
    seen = samples((5, 5), (6, 6), (6, 6), (6, 6), (7, 7), (8, 8))
    assert stall_after(seen, Span(0.9, 0.9), []) == pytest.approx(3.1)


def test_a_fault_that_ends_later_takes_the_blame() -> None:
    """A worker that was killed amid an outage of the broker stalls no longer than from the broker's return."""
    seen = samples((5, 5), (5, 5), (5, 5), (5, 5), (6, 6), (7, 7), (8, 8), (9, 9))
    assert stall_after(seen, Span(0.5, 0.5), [Span(0.2, 3.5)]) == pytest.approx(1.5)
    assert stall_after(seen, Span(0.5, 0.5), [Span(5.0, 6.0)]) == 3.5


def test_a_partition_without_posts_is_not_waited_for() -> None:
    """Nothing to do is no standstill."""
    seen = samples((5, 100), (6, 100), (7, 100), (8, 100), (9, 100))
    assert recovered_at(seen, 0.5) == 2
    assert longest_standstill(seen, lambda *_: False) == 0


def run_chaos(report: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Run it, and return its exit code, its report and what it said."""
    command = [sys.executable, "-m", "tests.chaos", "--json", str(report), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said, _ = process.communicate(timeout=_RUN_SECONDS)
    except subprocess.TimeoutExpired:
        # Not SIGKILL, which would leave a broker behind.
        process.terminate()
        said, _ = process.communicate()
    assert report.exists(), said
    return process.returncode, json.loads(report.read_text()), said


@pytest.mark.timeout(1000)
@pytest.mark.soak
def test_a_minute_of_faults_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Kills, pauses, restarts, a broker and a Redis that die: each post once, the same bytes as without any of it."""
    arguments = ("--seed", "24", "--minutes", "0.8", "--rate", "15", "--poison", "1")
    _, report, said = run_chaos(tmp_path / "report.json", *arguments)
    kinds = {name: kind["count"] for name, kind in report["kinds"].items()}
    # Not how fast, and not every round: a machine with other work stalls for reasons of its own.
    assert kinds["worker-kill"] >= 1, said
    assert sum(count for kind, count in kinds.items() if kind != "death") >= 5, said
    assert report["clean"], said
    assert report["counts"]["fed"] > 500
    assert report["counts"]["compared"] >= 3 * report["counts"]["labelled"]


@pytest.mark.soak
def test_a_plain_transactional_loop_does_not_pass(tmp_path: Path) -> None:
    """The runner finds what the loop of aiokafka's documentation loses or doubles, or it would prove nothing."""
    arguments = ("--seed", "5", "--minutes", "0.5", "--rate", "300", "--subject", "transactional-loop")
    code, report, said = run_chaos(tmp_path / "report.json", *arguments)
    assert report["counts"]["duplicated"] + report["counts"]["lost"] > 0, said
    assert code == 1
