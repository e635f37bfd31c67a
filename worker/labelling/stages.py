"""The stages between a record and its labels, built from the settings and run one after the other.

The stream runs them on its batches; the trial of a suspicious post runs the same ones in a process of its own.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from mmorient import Post, PostReader
from worker.errors import SettingsError
from worker.hosts import HostList
from worker.items import Item, usable
from worker.labelling.breakers import BreakerFetcher
from worker.labelling.cache.entries import UNSEALED, Mac
from worker.labelling.cache.redis_cache import NoCache, RedisCache
from worker.labelling.decode import decode, schemas_of
from worker.labelling.decoding import open_decoder
from worker.labelling.drawn_text import DrawnTextStage
from worker.labelling.embed import EmbeddingTable, EmbedStage
from worker.labelling.fetch import HttpFetcher
from worker.labelling.fetching.policy import AddressPolicy
from worker.labelling.held_bytes import HeldBytes
from worker.labelling.infer import InferStage
from worker.labelling.media import MediaStage
from worker.labelling.outages import OutageFetcher
from worker.labelling.reading import ReadingStage
from worker.labelling.registry.client import SchemaRegistry
from worker.secrets import text_of
from worker.settings import BatchSettings, KafkaSettings, RedisSettings, Settings
from worker.telemetry.metrics import CACHE_FAILURES, FETCHES_REFUSED
from worker.telemetry.timeline import timed, timed_apart
from worker.watchdog import Watchdog

if TYPE_CHECKING:
    from mmorient import Moderator

log = structlog.get_logger(__name__)


async def load_moderator(settings: Settings) -> "Moderator":
    """Return the model that the settings name.

    Raises:
        MmOrientError: the checkpoint cannot be used.
        SettingsError: the device is not here.
    """
    # Here, for torch takes seconds, and the pipeline is also tested without it.
    from mmorient import Moderator

    try:
        return await asyncio.to_thread(
            Moderator.from_checkpoint,
            settings.checkpoint,
            device=settings.device,
            precision=settings.precision,
            graph_context=settings.graph_context,
            compiled=settings.compiled,
            cuda_graphs=settings.cuda_graphs,
            thresholds=settings.thresholds.by_task(),
        )
    except ValueError as error:
        raise SettingsError(f"MODERATE_DEVICE: {error}") from error


async def open_cache(stack: AsyncExitStack, redis: RedisSettings) -> NoCache | RedisCache:
    """Return the cache that the settings name; it is closed with `stack`."""
    if not redis.url:
        return NoCache()
    secret = text_of(redis.secret)
    if secret is None:
        log.info(
            "redis_unsealed", consequence="whoever writes to it may choose labels", remedy="MODERATE_REDIS__SECRET"
        )
    return await stack.enter_async_context(
        RedisCache(
            redis.address,
            ttl_seconds=redis.ttl_seconds,
            timeout_seconds=redis.timeout_seconds,
            slow_seconds=redis.slow_seconds,
            seal=Mac(secret, text_of(redis.secret_before)) if secret is not None else UNSEALED,
            retry_after_seconds=redis.retry_after_seconds,
            on_failure=lambda kind: CACHE_FAILURES.labels(kind).inc(),
        )
    )


async def open_registry(stack: AsyncExitStack, kafka: KafkaSettings) -> SchemaRegistry | None:
    """Return the Schema Registry that the settings name; it is closed with `stack`."""
    if kafka.registry_url is None:
        return None
    return await stack.enter_async_context(
        SchemaRegistry(
            kafka.registry_url,
            username=kafka.registry_username,
            password=kafka.registry_password.get_secret_value() if kafka.registry_password is not None else None,
            cafile=str(kafka.registry_cafile) if kafka.registry_cafile is not None else None,
            timeout_seconds=kafka.registry_timeout_seconds,
        )
    )


class Stages:
    """Decode, media, drawn text, embeddings, model.

    Args:
        media, drawn, embed, infer, reading: the stages.
        reader: reads posts.
        registry: has the schemas of posts in Avro and Protobuf.
        beside: whether the model reads what media say beside a post's own text.
        max_text_chars: characters of a post's text.
        watch: told what is worked on.
        on_collected: called with the items of a batch once their media are collected.
    """

    def __init__(
        self,
        *,
        media: MediaStage,
        drawn: DrawnTextStage,
        embed: EmbedStage,
        infer: InferStage,
        reading: ReadingStage,
        reader: PostReader,
        registry: SchemaRegistry | None = None,
        beside: bool,
        max_text_chars: int,
        watch: Watchdog,
        on_collected: Callable[[Sequence[Item]], None] = lambda _: None,
    ) -> None:
        self._media = media
        self._drawn = drawn
        self._embed = embed
        self._infer = infer
        self._reading = reading
        self._reader = reader
        self._registry = registry
        self._beside = beside
        self._max_text_chars = max_text_chars
        self._watch = watch
        self._on_collected = on_collected

    @classmethod
    async def build(
        cls,
        stack: AsyncExitStack,
        settings: Settings,
        moderator: "Moderator",
        cache: NoCache | RedisCache,
        watch: Watchdog,
        *,
        on_collected: Callable[[Sequence[Item]], None] = lambda _: None,
        device_share: float = 1.0,
    ) -> "Stages":
        """Return the stages; what they hold open is closed with `stack`."""
        media = settings.media
        decoder, decode_picture = await open_decoder(stack, settings, moderator.picture_frame.side)
        fetcher = await stack.enter_async_context(
            HttpFetcher(
                max_bytes=media.max_bytes,
                max_redirects=media.max_redirects,
                timeout_seconds=media.timeout_seconds,
                max_parallel=media.max_parallel,
                policy=AddressPolicy(
                    ports=media.allowed_ports,
                    allowed=HostList(media.allowed_hosts),
                    denied=HostList(media.denied_hosts),
                    private=HostList(media.allowed_private_hosts),
                ),
                user_agent=media.user_agent,
                proxy=media.proxy.get_secret_value() if media.proxy is not None else None,
                on_refused=lambda kind: FETCHES_REFUSED.labels(kind).inc(),
            )
        )
        # Embeddings with the readings of texts, and labels.
        recent_bytes = settings.batch.recent_bytes // 2
        embed = EmbedStage(
            cache,
            frame=moderator.picture_frame,
            embedding_digest=moderator.identity.embedding,
            text_width=moderator.text_width,
            picture_width=moderator.picture_width,
            max_pixels=media.max_pixels,
            drawn_text=moderator.drawn_text,
            decoder=decoder,
            decode=decode_picture,
            recent_bytes=recent_bytes,
            watch=watch,
        )
        infer = InferStage(
            moderator,
            watch=watch,
            patience_seconds=settings.guard.memory_patience_seconds,
            rest_seconds=settings.guard.memory_rest_seconds,
            device_share=device_share,
            recent=embed.recent,
            recent_bytes=recent_bytes,
        )
        stack.callback(infer.close)
        return cls(
            media=MediaStage(
                OutageFetcher(BreakerFetcher(fetcher), on_outage=media.on_outage, hold_seconds=media.hold_seconds),
                HeldBytes(media.max_held_bytes),
                max_count=media.max_count,
                max_bytes=media.max_bytes,
            ),
            drawn=DrawnTextStage(
                cache,
                drawn_text=moderator.drawn_text,
                max_pixels=media.max_pixels,
                decoder=decoder,
                decode=decode_picture,
                watch=watch,
            ),
            embed=embed,
            infer=infer,
            reading=ReadingStage(moderator, watch=watch),
            reader=PostReader(settings.kafka.text_format, settings.kafka.post_fields),
            registry=await open_registry(stack, settings.kafka),
            beside=moderator.reads_beside,
            max_text_chars=settings.batch.max_text_chars,
            watch=watch,
            on_collected=on_collected,
        )

    async def ask_for_schemas(self, items: Sequence[Item]) -> None:
        """Wait for the schemas that the records name, so that to decode these asks nobody.

        Raises:
            FatalError: the registry refuses the log-in.
        """
        if self._registry is not None:
            await schemas_of(items, self._registry)

    async def warm_up(self) -> None:
        """Label a harmless post, so that a process in which no post can be labelled ends before it touches one."""
        await self._infer.warm_up()

    async def measure(self, batch: BatchSettings) -> None:
        """Set how many tokens and pictures go into one call of the model, by the settings or by a measurement.

        Raises:
            FatalError: the device no longer works.
        """
        await self._infer.measure(tokens=batch.max_call_tokens, pictures=batch.max_call_pictures)
        log.info("call_budget", tokens=self._infer.budget.tokens, pictures=self._infer.budget.pictures)

    async def run(self, items: Sequence[Item]) -> EmbeddingTable:
        """Set `labels` or `rejection` of every item; return what can be stored for later batches.

        Raises:
            FatalError: the model or its device no longer works.
        """
        await self.decode(items)
        await self.collect(usable(items))
        try:
            return await self.label(usable(items))
        finally:
            self.let_go(items)

    async def decode(self, items: Sequence[Item]) -> None:
        """Set `post` and `text`, `passed_over` or `rejection` of every item that is none of these yet.

        Raises:
            FatalError: the registry refuses the log-in.
        """
        with timed("decode", items):
            await decode(
                usable(items),
                max_text_chars=self._max_text_chars,
                watch=self._watch,
                reader=self._reader,
                registry=self._registry,
                beside=self._beside,
            )

    async def collect(self, items: Sequence[Item]) -> None:
        """Set `pictures` of items, or `rejection` where nothing is left of a post. It may take as long as a host does.

        What is collected is counted until it is let go.
        """
        with timed("media", items):
            await self._media.collect(items)
        self._on_collected(items)

    async def label(
        self,
        items: Sequence[Item],
        *,
        apart: bool = False,
        done: Callable[[Sequence[Item]], None] = lambda _: None,
    ) -> EmbeddingTable:
        """Set `labels` or `rejection` of items whose media are collected; return what is to be stored.

        Args:
            items: they may be through at different times. Those that are let go meanwhile are not waited for.
            apart: they share no call of the model with other items.
            done: called with items as soon as the model is through with them.

        Raises:
            FatalError: the model or its device no longer works.
        """
        with timed("drawn", items):
            await self._drawn.read(items)
        with timed("embed", items):
            table = await self._embed.prepare(items)
            await self._reading.read(items, table)
        with timed_apart("infer") as through:

            def both(over: Sequence[Item]) -> None:
                through(over)
                done(over)

            await self._infer.run(items, table, apart=apart, done=both)
        return table

    async def explain(self, item: Item, *, neighbours: int, words: int) -> dict[str, Any]:
        """Return why an item has its labels: the object of `mmorient explain --json`; empty where it is rejected.

        Args:
            item: decoded, and its media collected.
            neighbours: how many reference posts by each modality.
            words: how many of the most attended words are taken away, each alone.

        Raises:
            FatalError: the device no longer works.
        """
        await self._drawn.read([item])
        pictures = await self._embed.decoded(item)
        parsed = item.post
        if item.rejection is not None or parsed is None:
            return {}
        # What is drawn over them is read by now.
        post = Post(item.text, pictures if item.text is not None else tuple(replace(one, text="") for one in pictures))
        # Here, for torch takes seconds.
        from mmorient import explain_read_post

        return await self._infer.lend(
            "explanation",
            item,
            lambda moderator: explain_read_post(
                moderator,
                post,
                id_=parsed.id,
                own_text=parsed.has_text,
                unavailable=item.unavailable,
                neighbours=neighbours,
                words=words,
            ),
        )

    def let_go(self, items: Sequence[Item]) -> None:
        """Forget items that are labelled, rejected or dropped, and their pictures."""
        self._infer.drop(items)
        for item in items:
            self._media.let_go(item)

    async def store(self, table: EmbeddingTable) -> None:
        """Keep what a batch had to encode."""
        await self._embed.store(table)
