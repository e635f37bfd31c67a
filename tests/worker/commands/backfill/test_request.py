"""What a backfill is asked for, and how it is kept apart from the live stream."""

from pathlib import Path

import pytest

from tests.worker.policies.rules import rule
from worker.broker.ranges import parse_bound
from worker.commands.backfill.following import _Lines
from worker.commands.backfill.request import Request, backfill_settings
from worker.errors import SettingsError
from worker.policies.writing import as_toml
from worker.rate_limit import RateLimit
from worker.settings import Settings, ThresholdSettings
from worker.settings.loading import with_decisions

LIVE = Settings(_env_file=None)
DIGEST = "sha256:" + "0123456789abcdef" * 4
PATTERN = "labels.{task}.{checkpoint}"


def settings(group_id: str | None = None, output: str = PATTERN, *tasks: str) -> Settings:
    """Return a backfill's settings over the defaults."""
    return backfill_settings(LIVE, checkpoint=DIGEST, group_id=group_id, output=output, tasks=tasks)


def test_a_backfill_has_a_group_and_topics_of_its_own() -> None:
    """All are named after the checkpoint, so that the next model's backfill meets none of this one's."""
    kafka = settings().kafka
    assert kafka.group_id == "moderate.backfill.0123456789ab"
    assert kafka.routes["sarcasm"] == "labels.sarcasm.0123456789ab"
    assert kafka.dead_letter_topic == "labels.dead-letter.0123456789ab"
    assert settings(None, "all").kafka.routes == dict.fromkeys(LIVE.kafka.routes, "all")
    assert settings(None, "all").kafka.dead_letter_topic == "all.dead-letter"
    assert set(settings("mine", PATTERN, "humour").kafka.routes) == {"humour"}


def test_live_topics_take_the_word_for_them() -> None:
    """`live` gives the live stream's topics, its dead letters included; only chosen tasks where some are chosen."""
    kafka = settings("mine", "live", "sarcasm").kafka
    assert kafka.routes == {"sarcasm": "labels.sarcasm"}
    assert kafka.dead_letter_topic == LIVE.kafka.dead_letter_topic


def test_a_backfill_decides_by_its_folder_beside_its_labels(tmp_path: Path) -> None:
    """Whatever is published; without a folder not at all. Another policy is another backfill."""
    (tmp_path / "rules.toml").write_text(as_toml([rule()]), encoding="utf-8")
    policies = LIVE.model_copy(update={"policies": tmp_path})
    live = with_decisions(policies)
    assert live.kafka.decisions_topic == "decisions"

    def asked(output: str, of: Settings) -> Settings:
        return backfill_settings(of, checkpoint=DIGEST, group_id="mine", output=output, tasks=())

    assert asked(PATTERN, live).kafka.decisions_topic == "labels.decisions.0123456789ab"
    assert asked("all", live).kafka.decisions_topic == "all.decisions"
    assert asked("live", live).kafka.decisions_topic == "decisions"
    for topic in ("decisions", "moderate.policies"):
        with pytest.raises(SettingsError, match=f"{topic} belongs to the live stream"):
            asked(topic, live)
    published_alone = LIVE.model_copy(update={"kafka": live.kafka})
    assert asked(PATTERN, published_alone).kafka.decisions_topic is None

    def digest(of: Settings) -> str:
        return Request(parse_bound("0"), parse_bound("9"), None, DIGEST, asked(PATTERN, of)).labels

    before = digest(live)
    assert before != digest(LIVE)
    assert digest(LIVE) == digest(published_alone)
    (tmp_path / "rules.toml").write_text(as_toml([rule(threshold=0.9)]), encoding="utf-8")
    assert digest(live) != before


@pytest.mark.parametrize(
    ("group_id", "output", "tasks", "said"),
    [
        ("moderate", PATTERN, (), "moderate is the live group"),
        (None, "labels.{task}", (), "labels.* belongs to the live stream"),
        (None, "posts", (), "posts belongs to the live stream"),
        (None, "{0}", (), "nothing else in braces"),
        (None, "{task", (), "nothing else in braces"),
        (None, PATTERN, ("irony",), "unknown task 'irony'"),
        (None, "live", ("humour",), "humour has no live topic"),
    ],
)
def test_what_would_touch_the_live_stream_is_refused(
    group_id: str | None, output: str, tasks: tuple[str, ...], said: str
) -> None:
    """The group and the topics of the live stream are nobody else's by mistake."""
    with pytest.raises(SettingsError, match=said):
        settings(group_id, output, *tasks)


def test_processes_that_share_a_backfill_agree_on_its_labels() -> None:
    """Checkpoint, tasks, topics, arithmetic and thresholds are part of the digest; group and range are not."""

    def labels(changed: Settings, checkpoint: str = DIGEST, end: str = "latest") -> str:
        return Request(parse_bound("earliest"), parse_bound(end), None, checkpoint, changed).labels

    same = labels(settings())
    assert same == labels(settings("another"), end="100")
    others = [
        labels(settings(), "sha256:" + "f" * 64),
        labels(settings(None, "labels.{task}.b")),
        labels(settings(None, PATTERN, "sarcasm")),
        labels(settings().model_copy(update={"precision": "bf16"})),
        labels(settings().model_copy(update={"thresholds": ThresholdSettings(sarcasm=0.7)})),
        labels(settings().model_copy(update={"thresholds": ThresholdSettings(humour=0.7)})),
    ]
    assert len({same, *others}) == 7


def test_the_pace_counts_from_the_last_posts() -> None:
    """A second's posts cost a second, and a pause earns no burst."""
    now = 100.0
    rate_limit = RateLimit(50, clock=lambda: now)
    assert rate_limit.wait_seconds == 0
    rate_limit.took(25)
    assert rate_limit.wait_seconds == pytest.approx(0.5)
    now = 110.0
    assert rate_limit.wait_seconds == 0
    rate_limit.took(50)
    assert rate_limit.wait_seconds == pytest.approx(1.0)
    assert (rate_limit.at_once(64), rate_limit.at_once(64, seconds=0.25), rate_limit.at_once(64, seconds=0.001)) == (
        50,
        12,
        1,
    )
    free = RateLimit(clock=lambda: now)
    assert free.at_once(64) == 64
    free.took(10**9)
    assert free.wait_seconds == 0


def test_progress_is_a_line_in_ten_seconds_with_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    """The rate is that of the last minute, and the end is said at once."""
    now = 0.0
    lines = _Lines(1000, clock=lambda: now)
    said = []
    for now in (0.0, 4.0, 10.0, 19.0, 20.0, 21.0):
        lines.say(min(1000, round(50 * now)))
        said.append(capsys.readouterr().out)
    assert [bool(line) for line in said] == [True, False, True, False, True, True]
    assert "offsets_per_second=50.0" in said[2]
    assert "seconds_left=10" in said[2]
    assert "done=1000" in said[5]
