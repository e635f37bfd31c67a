"""What a backfill would do and cost: counted at the broker, timed on a few posts of the range, written nowhere."""

from dataclasses import asdict, dataclass
from typing import Any

from aiokafka import TopicPartition

from worker.broker.clients import KafkaLinks
from worker.broker.range_reader import connected_reader, read_ranges
from worker.broker.ranges import OffsetRange
from worker.broker.topics import output_topics
from worker.commands.backfill.request import Request
from worker.commands.backfill.starting import frozen_ranges
from worker.intake.bounded_run import Restraint
from worker.items import Record
from worker.labelling.speed import measured_speed

_SAMPLE_POSTS = 512


@dataclass(frozen=True)
class Estimate:
    """Counts, time and cost.

    Args:
        asked: the range as it was asked for.
        group_id, topics: where progress and labels would be written.
        offsets: of the range in each partition; posts at most, because markers and gaps have offsets too.
        gone: offsets that were asked for and are no longer there.
        sampled_posts: posts that were labelled to measure.
        sampled_offsets: offsets that these were found in.
        cached_share: part of the sample's embeddings that the cache had.
        posts_per_second: of one process on this machine, with the restraint that was asked for.
        seconds: for all of it, with one such process; None where nothing could be sampled.
        cost: the same in the currency of the price that was given.
    """

    asked: str
    group_id: str
    topics: list[str]
    offsets: dict[int, int]
    gone: int
    sampled_posts: int
    sampled_offsets: int
    cached_share: float | None
    posts_per_second: float | None
    seconds: float | None
    cost: float | None

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return asdict(self)

    def readable(self) -> str:
        """Return the same for a person."""
        total = sum(self.offsets.values())
        lines = [
            f"range          {self.asked}",
            f"offsets        {total} in {sum(map(bool, self.offsets.values()))} partitions (posts at most)",
            *([f"gone           {self.gone} offsets that were asked for are no longer there"] if self.gone else []),
            f"group          {self.group_id}",
            f"to             {', '.join(self.topics)}",
        ]
        if self.posts_per_second is None or self.seconds is None:
            return "\n".join([*lines, "time           unknown: no post in the range could be read"])
        cached = "" if self.cached_share is None else f", {self.cached_share:.0%} of embeddings cached"
        lines += [
            f"sample         {self.sampled_posts} posts in {self.sampled_offsets} offsets{cached}",
            f"speed          {self.posts_per_second:.1f} posts a second, one process on this machine as busy as it is",
            f"time           {_duration(self.seconds)} with one process, less with more",
            *([] if self.cost is None else [f"cost           {self.cost:.2f}"]),
        ]
        return "\n".join([*lines, "nothing was written"])


async def estimate(
    links: KafkaLinks, request: Request, restraint: Restraint, *, cost_per_hour: float | None
) -> Estimate:
    """Count the range and label a sample of it, from the beginning of every partition's share.

    Raises:
        SettingsError, FatalError: as `starting.start`.
    """
    ranges = await frozen_ranges(links, request)
    records, offsets = await _sample(links, ranges)
    speed, cached = None, None
    if records:
        speed, cached = await measured_speed(request.settings, records, device_share=restraint.device_share)
        # Then the limit decides.
        speed = min(speed, restraint.max_posts_per_second or speed)
    total = sum(part.offsets for part in ranges.values())
    posts = total * len(records) / offsets if offsets else 0.0
    seconds = posts / speed if speed else None
    kafka = request.settings.kafka
    return Estimate(
        asked=request.asked,
        group_id=kafka.group_id,
        topics=output_topics(kafka),
        offsets={source.partition: part.offsets for source, part in ranges.items()},
        gone=sum(part.gone for part in ranges.values()),
        sampled_posts=len(records),
        sampled_offsets=offsets,
        cached_share=cached,
        posts_per_second=speed,
        seconds=seconds,
        cost=None if seconds is None or cost_per_hour is None else seconds / 3600 * cost_per_hour,
    )


async def _sample(links: KafkaLinks, ranges: dict[TopicPartition, OffsetRange]) -> tuple[list[Record], int]:
    """Return records from the middle of every range, and how many offsets they were found in."""
    busy = {source: part for source, part in ranges.items() if part.offsets}
    if not busy:
        return [], 0
    share = max(1, _SAMPLE_POSTS // len(busy))
    middles = {source: _middle(part, share) for source, part in busy.items()}
    records: list[Record] = []
    async with connected_reader(links) as reader:
        async for some in read_ranges(reader, middles):
            records += some
    return records, sum(part.offsets for part in middles.values())


def _middle(part: OffsetRange, offsets: int) -> OffsetRange:
    since = max(part.since, (part.since + part.until - offsets) // 2)
    return OffsetRange(since, min(part.until, since + offsets))


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
