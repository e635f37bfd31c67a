"""Stage: records out of Kafka, cut into one slice for each partition that this worker has claimed."""

import asyncio

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)

from worker.errors import FatalError
from worker.lane import Slice
from worker.lanes import Lanes
from worker.metrics import LAG_POSTS, POSTS_READ

log = structlog.get_logger(__name__)

_POLL_MILLISECONDS = 200


class ConsumeStage:
    """Fetches the next batch.

    Args:
        consumer: the group's member.
        lanes: the claims that records belong to.
        max_posts: records in one batch.
    """

    def __init__(self, consumer: AIOKafkaConsumer, lanes: Lanes, *, max_posts: int) -> None:
        self._consumer = consumer
        self._lanes = lanes
        self._max_posts = max_posts

    async def next_batch(self) -> list[Slice]:
        """Return one slice for each partition that had records; empty where none came for a while.

        Raises:
            FatalError: the broker refuses to let this worker read.
        """
        try:
            fetched = await self._consumer.getmany(timeout_ms=_POLL_MILLISECONDS, max_records=self._max_posts)
        except OffsetOutOfRangeError as error:
            await self._skip_gap(error)
            return []
        except (GroupAuthorizationFailedError, TopicAuthorizationFailedError) as error:
            raise FatalError(f"the broker refuses to let this worker read: {error}") from error
        except KafkaError as error:
            log.warning("fetch_failed", error=repr(error))
            await asyncio.sleep(_POLL_MILLISECONDS / 1000)
            return []
        # No await between the fetch and here: whether a partition is still owned is decided in the tick
        # in which its records were returned.
        slices: list[Slice] = []
        for source, records in fetched.items():
            lane = self._lanes.get(source)
            piece = lane.accept(records) if lane is not None else None
            if piece is not None:
                slices.append(piece)
                POSTS_READ.inc(len(piece.items))
                self._note_lag(source, piece.next_offset)
        return slices

    def _note_lag(self, source: TopicPartition, next_offset: int) -> None:
        end = self._consumer.highwater(source)
        if end is not None:
            LAG_POSTS.labels(str(source.partition)).set(max(0, end - next_offset))

    async def _skip_gap(self, error: OffsetOutOfRangeError) -> None:
        """Go on at the oldest record that is left, and say so: retention was shorter than the lag."""
        wanted: dict[TopicPartition, int] = error.args[0]
        oldest = await self._consumer.beginning_offsets(list(wanted))
        for source, offset in wanted.items():
            log.error("records_gone", partition=source.partition, wanted=offset, oldest=oldest[source])
            self._lanes.move_past_gap(source, oldest[source])
