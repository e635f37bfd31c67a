"""The demo as its user sees it, and the count that its last line gives."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from schemas import DeadLetter
from worker.commands.demo.audit import Audit, Outcome

ROOT = Path(__file__).parents[4]
TOPICS = ("labels.sentiment", "labels.sarcasm", "labels.offensiveness")


@dataclass
class StandInRecord:
    """A record of an output topic."""

    topic: str
    value: bytes | None
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def label(topic: str, offset: int) -> StandInRecord:
    """Return a label of the post at an offset of partition 0."""
    return StandInRecord(topic, json.dumps({"source": {"partition": 0, "offset": offset}}).encode())


def dead(offset: int) -> StandInRecord:
    """Return a dead letter of the post at an offset of partition 0."""
    reason = DeadLetter(
        topic="posts", partition=0, offset=offset, stage="decode", exception_class_name="E", exception_message="m"
    )
    return StandInRecord("dead", b"", reason.headers())


def count(records: list[StandInRecord], posts: int) -> Outcome:
    """Return what the audit makes of the records."""
    audit = Audit(TOPICS, "dead")
    for record in records:
        audit.add(record)  # type: ignore[arg-type]
    return audit.count([(0, offset) for offset in range(posts)])


def test_the_count_finds_what_is_lost_and_doubled() -> None:
    """A missing label loses a post; a second label, a second dead letter, and both kinds at once double it."""
    whole = [label(topic, 0) for topic in TOPICS]
    assert count([*whole, dead(1)], 2) == Outcome(1, 1, 0, 0)
    assert count(whole, 2).lost == 1
    assert count(whole[:2], 1).lost == 1
    assert count([*whole, whole[1]], 1).duplicated == 1
    assert count([dead(0), dead(0)], 1).duplicated == 1
    assert count([*whole, dead(0)], 1).duplicated == 1
    assert count([*whole, *(label(topic, 7) for topic in TOPICS)], 1).duplicated == 1


@pytest.mark.soak
def test_the_demo_labels_everything_once(tmp_path: Path) -> None:
    """One command shows labels and a summary, ends with a line for programs, and leaves nothing running."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MODERATE_")}
    command = [sys.executable, "-m", "worker", "demo", "--folder", str(tmp_path / "stack"), "--posts-per-second", "200"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    last = done.stdout.strip().splitlines()[-1]
    found = re.fullmatch(r"demo: labelled (\d+) posts, dead-lettered (\d+), lost 0, duplicated 0", last)
    assert found is not None, last
    assert int(found[1]) >= 400
    assert int(found[2]) == 10
    for line in (
        "posts in",
        "cache hits",
        "posts a second",
        "latency",
        "1 post waited 5 s for a picture",
        "stopped with exit code 0",
    ):
        assert line in done.stdout
    status = [sys.executable, "-m", "worker", "stack", "status", "--folder", str(tmp_path / "stack")]
    assert subprocess.run(status, env=environment, cwd=ROOT, capture_output=True, check=False).returncode == 1


@pytest.mark.soak
def test_the_demo_shows_its_stream_on_the_page_until_somebody_interrupts(tmp_path: Path) -> None:
    """Posts pass by there, and what was fed meanwhile is counted as well."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MODERATE_")}
    command = [sys.executable, "-m", "worker", "demo", "--folder", str(tmp_path / "stack"), "--page"]
    command += ["--posts-per-second", "200"]
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        said = []
        for line in process.stdout or ():
            said.append(line)
            if found := re.search(r"(http://\S+)/stream", line):
                break
        else:
            raise AssertionError("".join(said))
        with httpx.stream("GET", f"{found[1]}/page/stream/events", timeout=60, trust_env=False) as events:
            shown = next(line for line in events.iter_lines() if line == "event: post")
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=120)
    assert shown
    assert process.returncode == 0, rest
    last = re.fullmatch(r"demo: labelled (\d+) posts, dead-lettered \d+, lost 0, duplicated 0", rest.splitlines()[-1])
    assert last is not None, rest
    assert int(last[1]) > 400
