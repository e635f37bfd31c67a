"""What the shadow keeps, passes over, hands over and is allowed to write, without servers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from tests.worker.checkpoints import SHIPPED
from tests.worker.records import item_of
from tests.worker.shadow.test_shadow import chosen
from worker.broker.topics import shadow_topics
from worker.errors import InvalidRecordError, SettingsError
from worker.isolation.child_process import packed_settings, unpacked_settings
from worker.items import Item
from worker.settings import KafkaSettings, Settings, ShadowSettings
from worker.shadow.message import HandedPost
from worker.shadow.parent import Shadow, is_chosen, shadow_settings
from worker.telemetry.metric import REGISTRY

SAMPLES = [
    {"result": result, "reason": reason}
    for result, reasons in {
        "labelled": ("",),
        "dropped": ("not_ready", "full", "behind", "loop_lag"),
        "failed": ("rejected", "unpublished", "died"),
    }.items()
    for reason in reasons
]


class StandInChild:
    """Is ready, takes everything, and answers what the test says."""

    def __init__(self) -> None:
        self.sent: list[HandedPost] = []
        self.says: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.says.put_nowait({"name": "stand-in"})

    async def send(self, *parts: bytes) -> None:
        """Take a post."""
        self.sent.append(HandedPost.from_message(b"".join(parts)))

    async def answer(self) -> dict[str, Any] | None:
        """Say the next thing."""
        return await self.says.get()

    async def ended(self) -> str:
        """Say why."""
        return "SIGKILL"

    def kill(self) -> None:
        """Know that it comes."""


class Rig:
    """A shadow of every post, at 1,000 s, with a stand-in for its child and for the live path."""

    def __init__(self) -> None:
        self.child, self.loop_lag, self.now = StandInChild(), 0.0, 1_800_000_000.0
        limits = ShadowSettings(checkpoint=SHIPPED, share=1, max_waiting_posts=3, max_waiting_bytes=20_000)
        self.shadow = Shadow(
            Settings(shadow=limits),
            loop_lag_seconds=lambda: self.loop_lag,
            start_child=self._start,
            now=lambda: self.now,
        )
        self._before = self._so_far()

    async def _start(self, *_: Any) -> Any:
        return self.child

    def _so_far(self) -> Counter[str]:
        return Counter(
            {
                f"{labels['result']} {labels['reason']}".strip(): int(value)
                for labels in SAMPLES
                if (value := REGISTRY.get_sample_value("moderate_shadow_posts_total", labels))
            }
        )

    @property
    def counts(self) -> Counter[str]:
        """The posts by what became of them."""
        return self._so_far() - self._before

    @property
    def waiting(self) -> float | None:
        """The posts that wait."""
        return REGISTRY.get_sample_value("moderate_shadow_waiting_posts")

    def live(self, number: int, size: int = 10, *, age: float = 0.0) -> Item:
        """Return an item that the media stage has just left."""
        item = item_of(number, text="x" * size)
        item.record.timestamp = int((self.now - age) * 1000)
        return item

    def pass_by(self, *items: Item) -> None:
        """Keep items, and commit their labels."""
        self.shadow.keep(items)
        self.shadow.offer(items)
        self.shadow.forget(items)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """Give a rig whose child is ready."""
    rig = Rig()
    rig.shadow.start()
    while REGISTRY.get_sample_value("moderate_shadow_ready") != 1:
        await asyncio.sleep(0)
    yield rig
    rig.shadow.close()
    await asyncio.sleep(0)


async def test_what_the_live_path_cannot_spare_is_passed_over(rig: Rig) -> None:
    """Behind, with a late event loop, or without room, a post is dropped; an answer, or a lost lane, makes room."""
    rig.pass_by(rig.live(0), rig.live(1, age=6.0))
    rig.loop_lag = 1.0
    rig.pass_by(rig.live(2))
    rig.loop_lag = 0.0
    rig.pass_by(rig.live(3, size=50_000), rig.live(4), rig.live(5), rig.live(6))
    assert rig.counts == {"dropped behind": 1, "dropped loop_lag": 1, "dropped full": 2}
    assert rig.waiting == 3
    rig.child.says.put_nowait({"labelled": 0, "rejected": 1, "unpublished": 1})
    while rig.waiting != 1:
        await asyncio.sleep(0)
    assert [post.post_id for post in rig.child.sent] == ["p-0", "p-4", "p-5"]

    lost, rejected = rig.live(7), rig.live(8)
    rig.shadow.keep([lost, rejected])
    assert rig.waiting == 3
    rejected.rejection = InvalidRecordError("infer", "no")
    rig.shadow.offer([rejected])
    rig.shadow.forget([lost, rejected])
    assert rig.waiting == 1
    rig.child.says.put_nowait(None)
    while rig.waiting != 0:
        await asyncio.sleep(0)
    rig.pass_by(rig.live(9))
    assert rig.counts == {
        "dropped behind": 1, "dropped loop_lag": 1, "dropped full": 2,
        "failed rejected": 1, "failed unpublished": 1, "failed died": 1, "dropped not_ready": 1,
    }  # fmt: skip


def test_a_child_has_its_parents_settings_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says besides, such as another task's live topic, is not added; secrets are not masked."""
    routes = {"sarcasm": "labels.sarcasm"}
    kafka = KafkaSettings(routes=routes, bootstrap_servers="a:1", sasl_password=SecretStr("hunter2"))
    parents = shadow_settings(Settings(shadow=ShadowSettings(checkpoint=SHIPPED), kafka=kafka))
    monkeypatch.setenv("MODERATE_KAFKA__ROUTES", '{"sentiment": "labels.sentiment"}')
    monkeypatch.setenv("MODERATE_REDIS__URL", "redis://elsewhere")
    childs = unpacked_settings(packed_settings(parents))
    assert childs.model_dump() == parents.model_dump()
    assert childs.kafka.routes == {"sarcasm": "labels.sarcasm.shadow"}
    assert childs.kafka.sasl_password == SecretStr("hunter2")
    assert childs.checkpoint == SHIPPED


def test_a_shadow_writes_to_no_topic_that_is_in_use() -> None:
    """Where a shadow's topic would be a live one, one line says so."""
    routes = {"sentiment": "labels", "sarcasm": "labels.shadow"}
    settings = Settings(shadow=ShadowSettings(checkpoint=SHIPPED), kafka=KafkaSettings(routes=routes))
    with pytest.raises(SettingsError, match=r"MODERATE_SHADOW__SUFFIX: labels\.shadow is in use"):
        shadow_topics(settings)


def test_a_post_arrives_as_it_was_handed_over() -> None:
    """Key, carried headers, text, pictures and what is unavailable go through the pipe; other headers stay behind."""
    item = item_of(7, text="grüß dich")
    item.record.headers = [("traceparent", b"00-1"), ("other", b"x"), ("tracestate", b"\xff")]
    item.pictures, item.unavailable = {0: b"\x00\xff", 2: b""}, {1: "http_status"}
    handed = HandedPost.of(item)
    assert HandedPost.from_message(b"".join(handed.parts())) == handed
    again = handed.item()
    assert again.post is not None
    assert (again.post.id, again.position) == ("p-7", "posts[0]@7")
    assert (again.text, again.pictures, again.unavailable) == (item.text, item.pictures, item.unavailable)
    assert again.record.headers == (("traceparent", b"00-1"), ("tracestate", b"\xff"))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_share_is_kept(share: float) -> None:
    """Of many ids the share is chosen, and whoever is in a share is in every larger one."""
    ids = [f"post-{n}" for n in range(4000)]
    assert abs(sum(is_chosen(name, share) for name in ids) / len(ids) - share) < 0.03
    assert all(is_chosen(name, 1.0) for name in ids if is_chosen(name, share))
    assert all(is_chosen(name, share) == chosen(name, share) for name in ids)
