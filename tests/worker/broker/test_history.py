"""A group whose offsets are gone, and a log that is another one, on a real Kafka."""

import asyncio
from collections.abc import Sequence

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DeleteGroupsRequest

from tests.worker.commands.audit.seeds import END, Seeds, request, stand, write, write_outputs
from tests.worker.patience import within
from tests.worker.system import Stream, administrator, post
from worker.broker.clients import KafkaLinks
from worker.broker.group_offsets import committed_offsets
from worker.broker.history import check_history
from worker.commands.offsets.command import set_group
from worker.errors import FatalError
from worker.output.sources import reads_outputs_of

LAST = 5  # the last labelled post of `seeds.VALUES`


async def check(stream: Stream) -> None:
    """Look at the group's history, as a worker does before it joins."""
    kafka = request(stream).terms.kafka
    links = KafkaLinks(stream.servers.kafka, kafka)
    async with links.connected_admin() as admin, within(60):
        # The first group of a fresh broker waits for the offsets topic.
        while True:
            try:
                await admin.list_consumer_group_offsets(stream.name)
                break
            except KafkaError:
                await asyncio.sleep(0.2)
        await check_history(
            links, admin, [TopicPartition(stream.posts, 0)], reads_outputs_of(stream.name, stream.posts)
        )


async def labelled(stream: Stream, group: str | None, *, settle: bool = False) -> None:
    """Write posts, and the labels of a group."""
    await stream.create_topics(1)
    await write(stream, [lambda _, __: Seeds(stream, 0, group).honest()], settle=settle)


async def offset_of(stream: Stream) -> int:
    """Return the group's offset."""
    async with administrator(stream) as admin:
        source = TopicPartition(stream.posts, 0)
        return int((await committed_offsets(admin, stream.name, [source]))[source].offset)


async def another_log(stream: Stream, keys: Sequence[bytes]) -> None:
    """Make the posts topic anew, and let the group stand where it stood."""
    async with administrator(stream) as admin:
        await admin.delete_topics([stream.posts])
        while stream.posts in await admin.list_topics():
            pass
        await admin.create_topics([NewTopic(stream.posts, 1, 1)])
    producer = AIOKafkaProducer(bootstrap_servers=stream.servers.kafka)
    await producer.start()
    for key in keys:
        await producer.send_and_wait(stream.posts, post("n", text="new"), key, partition=0)
    await producer.stop()
    await stand(stream, {0: END})


async def test_a_group_whose_offsets_are_gone_is_stopped_and_two_commands_settle_it(
    stream: Stream, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line names the last labelled offset and both commands; each sets the offset that it says."""
    await labelled(stream, stream.name)
    with pytest.raises(FatalError) as refused:
        await check(stream)
    said = str(refused.value)
    assert f"has no offset of {stream.posts}[0]" in said
    assert f"labelled it up to offset {LAST} " in said
    assert "`moderate offsets go-on`" in said
    assert "`moderate offsets begin-anew`" in said
    kafka = request(stream).terms.kafka
    await set_group(kafka, None, anew=False)
    assert await offset_of(stream) == LAST + 1
    await check(stream)
    with pytest.raises(FatalError, match="has an offset of every partition"):
        await set_group(kafka, None, anew=True)
    await set_group(kafka, frozenset({0}), anew=True)
    assert await offset_of(stream) == 0
    await check(stream)
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"{stream.posts}[0] goes on at offset {LAST + 1}",
        f"{stream.posts}[0] goes on at offset 0",
    ]


@pytest.mark.parametrize("group", ["another", None])
async def test_a_new_group_is_not_stopped_by_the_labels_of_others(stream: Stream, group: str | None) -> None:
    """Neither by those of another group, nor by those of an earlier version, which name none."""
    await labelled(stream, group)
    await check(stream)


async def test_the_group_is_found_behind_labels_of_another_group(stream: Stream) -> None:
    """A backfill onto the live topics hides nothing."""
    await labelled(stream, stream.name)
    await write_outputs(stream, [Seeds(stream, 0, "backfill").honest() * 20])
    with pytest.raises(FatalError, match="has no offset"):
        await check(stream)


async def test_a_log_that_was_cut_and_has_grown_again_is_noticed(stream: Stream) -> None:
    """Another key stands where the last label's post stood, though the group's offset is within the log."""
    await labelled(stream, stream.name, settle=True)
    await check(stream)
    await another_log(stream, [b"new"] * 20)
    with pytest.raises(FatalError, match=f"holds another post at offset {LAST} than the one that is labelled"):
        await check(stream)
    # Whoever sets the offset back to the labelled post, or before it, knows of it.
    await set_group(request(stream).terms.kafka, frozenset({0}), anew=True)
    await check(stream)


async def test_a_log_that_ends_before_what_is_labelled_is_noticed(stream: Stream) -> None:
    """The last label's post is beyond its end."""
    await labelled(stream, stream.name, settle=True)
    await another_log(stream, [b"new"])
    with pytest.raises(FatalError, match=f"ends at offset 1 and its post at {LAST} is labelled"):
        await check(stream)


@pytest.mark.soak
async def test_a_worker_without_offsets_ends_and_goes_on_when_it_is_told(stream: Stream) -> None:
    """As its user sees it: exit code 1 and one line; after `go-on` nothing is labelled twice."""
    await stream.create_topics(1)
    positions = await stream.feed([post(f"a-{n}", text="one") for n in range(5)], 1)
    worker = await stream.start()
    await stream.settled(positions, 120)
    await worker.end()
    async with administrator(stream) as admin:
        # No method of its own does it.
        answer = await admin._send_request(DeleteGroupsRequest([stream.name]))
        assert answer.results == [(stream.name, 0)]
    refused = await stream.start("refused")
    assert await refused.process.wait() == 1
    assert "moderate offsets go-on" in refused.log().splitlines()[-1] + refused.log()
    code, said, errors = await stream.command("offsets", "go-on")
    assert (code, said) == (0, f"{stream.posts}[0] goes on at offset 5\n"), errors
    positions = await stream.feed([post("b", text="two")], 1)
    worker = await stream.start("again")
    await stream.settled(positions, 120)
    assert (await stream.labels()).counts(stream.label_topic("sarcasm")) == {1: 6}
    await worker.end()
