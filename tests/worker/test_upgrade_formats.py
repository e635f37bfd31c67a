"""What two versions of the worker share: each format has a version, and a rule for what a later one wrote."""

import json
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from schemas import DeadLetter, Replay
from tests.worker.intake.partners import SOURCE, Partners, accept, lane_of
from tests.worker.versions import NEXT, ROOT
from worker.broker.clients import KafkaLinks
from worker.broker.group_members import Deployment, assignor_of, member_id_of, refuse_strangers
from worker.commands.backfill.starting import _plans
from worker.errors import FatalError, SettingsError
from worker.intake.journal import VERSION, Care, Caution, Journal
from worker.labelling.cache.entries import FORMAT
from worker.labelling.cache.redis_cache import content_key
from worker.settings import KafkaSettings, load_settings

NOTE = {"state": "open", "worker": "other", "suspects": 9}


def changed(**fields: object) -> str:
    """Return a note with other fields."""
    return json.dumps({**NOTE, **fields})


def test_a_next_version_can_be_made_of_this_one() -> None:
    """What it would change stands where the tests of upgrades look for it."""
    for name, before, _ in NEXT:
        assert before in (ROOT / name).read_text(encoding="utf-8"), name


def test_a_note_of_before_versions_is_of_the_first() -> None:
    """A worker that said no version wrote what this one reads."""
    assert Journal.loads(json.dumps(NOTE)) == Journal("open", "other", suspects=9)
    assert json.loads(Journal("open", "other").dumps())["version"] == VERSION


def test_what_follows_from_an_earlier_versions_note_is_written_in_this_ones() -> None:
    """Its version does not ride along with what is taken over from it."""
    found = Journal.loads(changed(version=VERSION - 1))
    following = Caution.at_claim(found, worker="me", offset=100, end=1000, in_flight=192)
    assert json.loads(following.named(116).dumps())["version"] == VERSION


def test_an_unknown_field_of_a_note_is_dropped() -> None:
    """A later version adds fields that may be dropped; what it must not lose raises the version."""
    assert Journal.loads(changed(beside="x")) == Journal("open", "other", suspects=9)


@pytest.mark.parametrize(
    "metadata",
    [changed(version=VERSION + 1), changed(state="tried"), changed(suspects="many"), changed(plan={"since": 1})],
)
def test_a_note_that_cannot_be_read_is_gone_through_with_care(metadata: str) -> None:
    """It is taken for `open`, with all in flight that this worker would have: slower, not wrong."""
    found = Journal.loads(metadata)
    assert found is not None
    assert found.is_unknown
    caution = Caution.at_claim(found, worker="me", offset=100, end=1000, in_flight=192)
    assert caution.note == Journal("closed", "me", suspects=192)
    assert caution.care is Care.STEP
    assert not Caution.at_claim(found, worker="me", offset=100, end=100, in_flight=192).careful


async def test_a_live_lane_goes_on_from_a_later_versions_note() -> None:
    """It steps through what may have been in flight, and leaves a note that it can read itself."""
    partners = Partners(committed={SOURCE: OffsetAndMetadata(40, changed(version=VERSION + 1))})
    lane = lane_of(partners)
    await lane.open()
    assert partners.notes == [Journal("closed", "me", suspects=192)]
    assert accept(lane, *range(40, 70)).care is Care.STEP


async def test_a_bounded_lane_does_not_guess_a_later_versions_plan() -> None:
    """It is refused: taken for a partition without a plan, its range would count as done."""
    partners = Partners(committed={SOURCE: OffsetAndMetadata(40, changed(version=VERSION + 1))})
    lane = lane_of(partners, bounded=True)
    with pytest.raises(FatalError, match="later version"):
        await lane.open()
    assert partners.offsets == []


def test_a_backfill_of_a_later_version_is_said_to_be_one() -> None:
    """It is neither gone on with nor taken for a group of another kind."""
    links, found = KafkaLinks("", KafkaSettings(group_id="g")), OffsetAndMetadata(0, changed(version=VERSION + 1))
    request: Any = None
    with pytest.raises(SettingsError, match="a later version of the worker writes group g"):
        _plans(links, {SOURCE: found}, request, resume=True)


def test_cache_keys_name_the_format_of_their_entries() -> None:
    """Versions that write entries of another form never find each other's."""
    assert content_key("sha256:x", "text", b"a").startswith(b"mmorient:" + FORMAT + b":text:")


def test_transactional_ids_are_the_same_in_every_version() -> None:
    """They are the fence: two versions with different ids would both commit."""
    links = KafkaLinks("", KafkaSettings(group_id="g"))
    assert links.transactional_id(TopicPartition("posts", 3)) == "g:posts:3"


def test_the_assignor_has_one_name_in_every_version() -> None:
    """Members that have no assignor in common cannot be in one group: a new one comes beside this one first."""
    assert assignor_of(Deployment.of(KafkaSettings()), "me").name == "roundrobin"


class Group:
    """Answers as a broker whose group has one member, `pod-0`."""

    def __init__(self, **said: object) -> None:
        ours = assignor_of(Deployment.of(KafkaSettings()), "other").metadata(["posts"])
        words = json.dumps({**json.loads(ours.user_data), **said}).encode()
        metadata = type(ours)(ours.version, ours.subscription, words).encode()
        self.member = ("pod-0-" + "u" * 36, "client", "/host", metadata, b"")

    async def describe_consumer_groups(self, _: object) -> Any:
        """Describe it."""
        return [self]

    @property
    def groups(self) -> Any:
        """The groups of the answer."""
        return [(0, "g", "Stable", "consumer", "roundrobin", [self.member])]


@pytest.mark.parametrize("said", [{"version": "9"}, {"routes": 5}, {"routes": {"sarcasm": "elsewhere"}}])
async def test_members_that_say_more_or_otherwise_are_let_be(said: dict[str, object]) -> None:
    """Of a later version's words the known ones are understood; who cannot be understood is no stranger."""
    admin: Any = Group(**said)
    await refuse_strangers(admin, "g", Deployment.of(KafkaSettings()))


async def test_a_member_knows_itself_by_its_incarnation() -> None:
    """Who has taken its name is not it, and is not put out of the group in its place."""
    admin: Any = Group()
    assert await member_id_of(admin, "g", "pod-0", "other") == "pod-0-" + "u" * 36
    assert await member_id_of(admin, "g", "pod-0", "me") is None
    assert await member_id_of(admin, "g", "pod-1", "other") is None


def test_a_setting_of_a_later_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before anything starts, and its value, which may be a secret, is not shown."""
    monkeypatch.setenv("MODERATE_KAFKA__TOKEN", "hunter2")
    said = r"^MODERATE_KAFKA__TOKEN: this version knows no such setting; did you mean MODERATE_KAFKA__ROUTES\?$"
    with pytest.raises(SettingsError, match=said):
        load_settings()


def test_what_a_later_version_adds_to_reasons_and_replays_is_passed_over() -> None:
    """Dead letters and the ledger of replays are read by the fields that are known; a new version is refused."""
    reason = DeadLetter(
        topic="posts", partition=0, offset=1, stage="decode", exception_class_name="E", exception_message="m"
    )
    assert DeadLetter.from_headers([*reason.headers(), ("__connect.errors.worker", b"0.2.0")]) == reason
    at = {"topic": "posts", "partition": 0, "offset": 1}
    times = {"dead_letter_timestamp": 5, "replayed_at": "2026-11-21T00:00:00Z"}
    entry = {"dead_letter": at, "post": at, "attempt": 1, **times}
    assert Replay.model_validate({**entry, "by": "somebody"}) == Replay.model_validate(entry)
    with pytest.raises(ValueError, match="replay/1"):
        Replay.model_validate({**entry, "schema": "replay/2"})
