"""Replayed posts in a real worker: what is repaired is labelled, what is not comes back until the guard refuses it."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.worker.commands.dead_letters.conftest import Replays
from tests.worker.commands.dead_letters.letters import Draft, replayed, write
from tests.worker.system import TASKS, Stream, headers_of, post
from worker.commands.dead_letters.labelled import Unavailable


async def test_a_repaired_post_is_labelled_and_a_broken_one_is_refused_at_last(
    stream: Stream, replays: Replays
) -> None:
    """A raised limit lets long posts through; truncated JSON comes back with attempts 1, 2, 3 and goes no further."""
    await stream.create_topics(2)
    long = [post(f"long-{n}", text="what a long day " * 3, community="trains") for n in range(4)]
    broken = [post(f"broken-{n}", text="never")[:-3] for n in range(2)]
    short = [post(f"short-{n}", text="what a day") for n in range(4)]
    strict = await stream.start("strict", BATCH__MAX_TEXT_CHARS="20")
    positions = await stream.feed([*long, *broken, *short], 2)
    await stream.settled(positions, 60)
    assert await strict.end() == 0
    dead = await stream.dead_letters()
    assert len(dead) == len(long) + len(broken)
    worker = await stream.start()

    first = await replays(wait=150)
    assert first["replayed"] == 6
    assert first["waited"] == {"labelled": 4, "dead_lettered": 2, "pending": 0}
    for already in (6, 8):
        answer = await replays(wait=60, stages=["decode"])
        assert (answer["already_replayed"], answer["replayed"]) == (already, 2)
        assert answer["waited"] == {"labelled": 0, "dead_lettered": 2, "pending": 0}
    last = await replays(wait=150)
    assert last == {"selected": 12, "already_replayed": 10, "too_many_attempts": 2}
    attempts = Counter(
        headers_of(record).get("moderate.attempt")
        for found in (await stream.dead_letters()).values()
        for record in found
    )
    assert attempts == {None: 6, b"1": 2, b"2": 2, b"3": 2}
    # Each label is of the position at which its post was written again, and has the bytes of any label.
    again = {(record.partition, record.offset) for found in (await replayed(stream)).values() for record in found}
    assert len(again) == 10
    labels = await stream.labels()
    for task in TASKS:
        of_task = labels.by_topic[stream.label_topic(task)]
        assert len(set(of_task) & again) == len(long)
        assert labels.counts(stream.label_topic(task)) == Counter({1: len(long) + len(short)})
        assert {json.loads(values[0])["post_id"] for values in of_task.values()} == {
            *(f"long-{n}" for n in range(4)), *(f"short-{n}" for n in range(4))
        }  # fmt: skip
    for record in (await stream.read(stream.label_topic("sarcasm")))[stream.label_topic("sarcasm")]:
        assert [name for name, _ in record.headers if name.startswith("moderate.")] == ["moderate.group"]
        assert headers_of(record)["traceparent"].startswith(b"00-")
    assert (await replays(max_attempts=4, dry_run=True))["replayed"] == 2
    assert await worker.end() == 0


class PictureHost(BaseHTTPRequestHandler):
    """Is in trouble until it is told what its picture is."""

    picture: bytes | None = None

    def do_GET(self) -> None:
        """Answer."""
        body = self.picture or b"away"
        self.send_response(200 if self.picture else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Say nothing."""


async def test_posts_that_were_labelled_without_a_picture_are_labelled_with_it(
    stream: Stream, replays: Replays, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that is in trouble costs posts their picture; when it is back, a replay labels them once more with it."""
    await stream.create_topics(2)
    with ThreadingHTTPServer(("127.0.0.1", 0), PictureHost) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        media = [{"url": f"http://127.0.0.1:{host.server_port}/a.jpg"}]
        values = [post(f"p-{n}", text="what a day", **({"media": media} if n % 2 else {})) for n in range(6)]
        settings = {"MEDIA__ALLOWED_PRIVATE_HOSTS": '["127.0.0.1"]', "MEDIA__TIMEOUT_SECONDS": "1"}
        worker = await stream.start(**settings)
        positions = await stream.feed(values, 2)
        await stream.settled(positions, 90)
        failed = Unavailable(["http_status", "fetch_failed", "fetch_timeout"])
        assert (await replays(unavailable=failed, dry_run=True))["replayed"] == 3
        picture = Path(__file__).parents[4] / "samples/pictures"
        monkeypatch.setattr(PictureHost, "picture", min(picture.glob("*.jpg")).read_bytes())
        answer = await replays(unavailable=failed, wait=60)
        assert answer["waited"] == {"labelled": 3, "dead_lettered": 0, "pending": 0}
        assert await replays(unavailable=failed) == {"selected": 3, "already_replayed": 3}
        host.shutdown()
    again = {(record.partition, record.offset) for found in (await replayed(stream)).values() for record in found}
    labels = await stream.labels()
    for task in TASKS:
        of_task = {at: json.loads(value) for at, (value,) in labels.by_topic[stream.label_topic(task)].items()}
        assert len(of_task) == 9
        assert {at for at, label in of_task.items() if "image" in label["modalities"]} == again
        assert {label["post_id"] for at, label in of_task.items() if at in again} == {"p-1", "p-3", "p-5"}
    assert await worker.end() == 0


async def test_waiting_for_nobody_ends(stream: Stream) -> None:
    """Without a worker the posts are pending when the time is over, and the exit code says so."""
    await stream.create_topics(1)
    await write(stream, [Draft(post("long", text="what a long day"), 3)])
    code, output, _ = await stream.command("dead-letters", "replay", "--wait", "0.5", "--json")
    assert code == 1
    assert json.loads(output)["waited"] == {"labelled": 0, "dead_lettered": 0, "pending": 1}
