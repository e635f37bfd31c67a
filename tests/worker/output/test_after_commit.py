"""What looks at committed posts may fail; the stream goes on."""

from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from tests.worker.records import item_of
from worker.items import Item, StageTime
from worker.output.after_commit import AfterCommit
from worker.telemetry.drift import Drift
from worker.telemetry.output_metrics import AFTER_COMMIT_FAILURES


class FailingObserver:
    """Fails whatever it is told, and quotes the post."""

    def offer(self, items: Sequence[Item]) -> None:
        raise ValueError(items[0].record.value)

    def forget(self, items: Sequence[Item]) -> None:
        raise ValueError(items[0].record.value)


class FailingTraces:
    """Fails to write."""

    def write(self, items: Sequence[Item], publish: StageTime) -> None:
        raise OSError(items[0].record.value, publish)


class NotingObserver:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def offer(self, items: Sequence[Item]) -> None:
        self.told.append(f"offer {len(items)}")

    def forget(self, items: Sequence[Item]) -> None:
        self.told.append(f"forget {len(items)}")


def test_no_observer_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counters, observers and traces fail each by itself; the others are told, and no line quotes the post."""
    noting = NotingObserver()
    after = AfterCommit(
        ["sarcasm"],
        Drift([], None, window_posts=1000),
        FailingTraces(),  # type: ignore[arg-type]
        [FailingObserver(), noting],
    )
    monkeypatch.setattr(after, "_count_labelled", lambda _: 1 / 0)
    items = [item_of(text="nobody may read this")]
    before = [AFTER_COMMIT_FAILURES.labels(part)._value.get() for part in ("counters", "traces", "FailingObserver")]
    with capture_logs() as logs:
        after.take(items, StageTime("publish", 0, 1))
        after.forget(items)
    failures = [AFTER_COMMIT_FAILURES.labels(part)._value.get() for part in ("counters", "traces", "FailingObserver")]
    assert [now - then for now, then in zip(failures, before, strict=True)] == [1, 1, 2]
    assert noting.told == ["offer 1", "forget 1"]
    assert [line["error"] for line in logs] == ["ZeroDivisionError", "ValueError", "OSError", "ValueError"]
    assert "nobody may read" not in repr(logs)
