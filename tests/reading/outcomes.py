"""What the worker's stages before the model make of one record."""

from itertools import groupby

from mmorient import PostLabels, PostReader
from mmorient.labels import TASKS, task_label
from schemas import ModelStamp
from tests.worker.records import StandInRecord
from worker.items import Item, OutgoingRecord
from worker.labelling.decode import decode
from worker.labelling.held_bytes import HeldBytes
from worker.labelling.media import MediaStage, MediumError
from worker.output.records import RecordBuilder
from worker.watchdog import Watchdog

_STAMP = ModelStamp(name="m", checkpoint="sha256:" + "0" * 64, graph_context="bank", precision="fp32")
_MAX_TEXT_CHARS = 100_000


class NotingFetcher:
    """Gives every http and https address one picture, and notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def fetch(self, url: str) -> bytes:
        """Return the picture."""
        self.asked.append(url)
        if not url.startswith(("http://", "https://")):
            raise MediumError("bad_url", url)
        return b"a picture"


async def taken(value: bytes | None, reader: PostReader | None = None) -> tuple[Item, NotingFetcher]:
    """Return the item that a record becomes, its media collected."""
    item, fetcher = Item(StandInRecord(value)), NotingFetcher()
    await decode([item], max_text_chars=_MAX_TEXT_CHARS, watch=Watchdog(60), reader=reader or PostReader())
    await MediaStage(fetcher, HeldBytes(10**9), max_count=8, max_bytes=8 * 1024 * 1024).collect([item])
    return item, fetcher


def outcome(item: Item) -> str:
    """Return what became of it, in the words of the table."""
    if item.rejection is not None:
        return f"dead letter: {item.rejection.reason}"
    if item.passed_over is not None:
        return f"passed over: {item.passed_over}"
    parts = ["text"] * (item.text is not None) + ["image"] * bool(item.pictures)
    labelled, unavailable = ", ".join(parts), []
    numbered = enumerate(item.unavailable_media())
    for (reason, count, _), group in groupby(
        numbered, lambda one: (one[1].reason, one[1].count, one[1].index - one[0])
    ):
        indexes = [one.index for _, one in group]
        span = f"{indexes[0]}-{indexes[-1]}" if len(indexes) > 1 else f"{indexes[0]}"
        unavailable.append(f"{span} {reason}" + f" ({count})" * bool(count))
    return labelled + ("; " + ", ".join(unavailable)) * bool(unavailable)


def labelled(item: Item) -> list[OutgoingRecord]:
    """Return the label of one task that an item gets from a model that knows nothing."""
    task = TASKS["sarcasm"]
    item.labels = PostLabels({"sarcasm": task_label(task, [0.5, 0.5], [0.3, 0.2, 0.1])}, ("text",))
    return written(item)


def written(item: Item) -> list[OutgoingRecord]:
    """Return what is written of an item that is over."""
    stage = RecordBuilder(
        routes={"sarcasm": "labels.sarcasm"}, dead_letter_topic="dead", max_dead_letter_bytes=10**6, stamp=_STAMP
    )
    return stage.records([item])
