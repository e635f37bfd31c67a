"""What a worker says of itself in its own log, from its first line to its last."""

import json

from tests.worker.system import Stream, post


async def test_a_worker_introduces_itself_and_takes_its_leave(stream: Stream) -> None:
    """Its first line says who it is, its last what it did and why it ends; a healthy one has no line of ERROR."""
    await stream.create_topics(1)
    worker = await (await stream.start(anew=True)).ready()
    positions = await stream.feed([post("a", text="what a day"), b"no post"], 1)
    await stream.settled(positions, 60)
    code, _, errors = await stream.command("run", "--http-port", worker.address.rpartition(":")[2])
    assert (code, len(errors.strip().splitlines())) == (2, 1), errors
    assert "is taken by another process" in errors
    assert await worker.end() == 0
    text = worker.log_path.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    first, last = lines[0], lines[-1]
    assert first["event"] == "worker_starts"
    assert (first["group"], first["broker"], first["precision"]) == (stream.name, stream.servers.kafka, "fp32")
    assert (first["topics"]["from"], first["pages"]) == (stream.posts, worker.address)
    assert first["topics"]["to"] == [*map(stream.label_topic, ("sentiment", "sarcasm", "offensiveness")), stream.dead]
    assert (first["checkpoint"], first["digest"][:7], first["device"]) == ("shipped", "sha256:", "auto")
    assert (last["event"], last["why"]) == ("worker_ends", "told to stop by SIGTERM")
    assert (last["posts"], last["dead_letters"]) == (1, 1)
    assert not [line for line in lines if line["level"] in {"error", "critical"}], text
    assert "ERROR" not in text
