"""Stage: which embeddings of a batch are known already, and which the encoders must make.

The same content within a batch is asked for and encoded once.
"""

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mmorient import Embedding, Frame, Picture, PictureError, PostEmbeddings, decode_picture
from worker.items import Item, usable
from worker.labelling.cache.entries import Entry
from worker.labelling.cache.recent import Recent
from worker.labelling.cache.redis_cache import EmbeddingCache, content_key
from worker.labelling.decoding import Decode
from worker.labelling.media import reject_if_empty
from worker.telemetry.metrics import CACHE_LOOKUPS
from worker.watchdog import Watchdog

if TYPE_CHECKING:
    # Importing it loads OpenCV and onnxruntime, which only a checkpoint that reads pictures needs.
    from mmorient.input.ocr.drawn_text import DrawnText

# Digests of more than this take milliseconds: long enough to be felt by the event loop.
_BYTES_FOR_A_THREAD = 1024 * 1024


@dataclass(slots=True)
class EmbeddingTable:
    """The contents of a batch by cache key: what is known, and what is still to be encoded.

    Args:
        known: embeddings.
        readings: of texts, packed; what is not read yet is missing.
        texts, pictures: to be encoded.
    """

    known: dict[bytes, Embedding] = field(default_factory=dict)
    readings: dict[bytes, bytes] = field(default_factory=dict)
    texts: dict[bytes, str] = field(default_factory=dict)
    pictures: dict[bytes, Picture] = field(default_factory=dict)

    def gather(self, item: Item) -> PostEmbeddings:
        """Return the embeddings of one post, all of whose contents are known by now."""
        text = self.known[item.text_key] if item.text_key is not None else None
        return PostEmbeddings(
            text=text, pictures=tuple(self.known[key] for _, key in sorted(item.picture_keys.items()))
        )


class EmbedStage:
    """Looks embeddings up and prepares what is missing.

    Args:
        cache: where embeddings are kept.
        embedding_digest: what the cached vectors depend on.
        text_width, picture_width: numbers in an embedding.
        max_pixels: pixels of one picture.
        drawn_text: what the checkpoint does about text drawn over pictures; None for nothing.
        decoder: threads that decode pictures.
        decode: decodes one, in such a thread.
        recent_bytes: of the last contents' embeddings that are kept in this process.
        frame: size and cut that the checkpoint's picture encoder wants; None for the usual one.
        watch: told which picture is being decoded.
    """

    def __init__(
        self,
        cache: EmbeddingCache,
        *,
        embedding_digest: str,
        text_width: int,
        picture_width: int,
        max_pixels: int,
        decoder: Executor,
        decode: Decode = decode_picture,
        drawn_text: "DrawnText | None" = None,
        frame: Frame | None = None,
        recent_bytes: int = 0,
        watch: Watchdog,
    ) -> None:
        self._cache = cache
        self._digest = embedding_digest
        self._text_width = text_width
        self._picture_width = picture_width
        self._max_pixels = max_pixels
        self._decoder = decoder
        self._decode_picture = decode
        self._drawn_text = drawn_text
        self._frame = frame or Frame()
        self._watch = watch
        self._recent: Recent[bytes, Entry] = Recent(
            recent_bytes, lambda key, entry: len(key) + entry.embedding.nbytes + len(entry.reading)
        )

    async def prepare(self, items: Sequence[Item]) -> EmbeddingTable:
        """Return the table of a batch; media that turn out to be no pictures are dropped from their posts."""
        batch = usable(items)
        if sum(len(content) for item in batch for content in item.pictures.values()) > _BYTES_FOR_A_THREAD:
            await asyncio.to_thread(self._set_keys, batch)
        else:
            self._set_keys(batch)
        texts = {item.text_key: item.text for item in batch if item.text_key is not None and item.text is not None}
        pictures = {key: item.pictures[index] for item in batch for index, key in item.picture_keys.items()}
        widths = dict.fromkeys(texts, self._text_width) | dict.fromkeys(pictures, self._picture_width)
        known = self._recent.find(widths)
        if asked := {key: width for key, width in widths.items() if key not in known}:
            found = await self._cache.find(asked)
            self._recent.keep(found.items())
            known |= found
        for content, keys in (("text", texts.keys()), ("image", pictures.keys())):
            hits = len(keys & known.keys())
            CACHE_LOOKUPS.labels(content, "hit").inc(hits)
            CACHE_LOOKUPS.labels(content, "miss").inc(len(keys) - hits)
        decoded = await self._decode(batch, {key: content for key, content in pictures.items() if key not in known})
        failures = {key: result for key, result in decoded.items() if isinstance(result, str)}
        if failures:
            _drop_failed(batch, failures)
        for item in batch:
            # Megabytes each, which the wait for the model need not keep.
            item.pictures.clear()
        return EmbeddingTable(
            known={key: entry.embedding for key, entry in known.items()},
            readings={key: known[key].reading for key in texts.keys() & known.keys()},
            texts={key: text for key, text in texts.items() if key not in known},
            pictures={key: result for key, result in decoded.items() if isinstance(result, Picture)},
        )

    async def decoded(self, item: Item) -> tuple[Picture, ...]:
        """Return an item's pictures, in their order, whatever is cached; media that are no pictures are dropped."""
        await asyncio.to_thread(self._set_keys, [item])
        found = await self._decode([item], {key: item.pictures[index] for index, key in item.picture_keys.items()})
        _drop_failed([item], {key: result for key, result in found.items() if isinstance(result, str)})
        results = (found[key] for _, key in sorted(item.picture_keys.items()))
        return tuple(result for result in results if isinstance(result, Picture))

    def recent(self, keys: Iterable[bytes]) -> dict[bytes, Embedding]:
        """Return what this process has kept of `keys`."""
        return {key: entry.embedding for key, entry in self._recent.find(keys).items()}

    async def store(self, table: EmbeddingTable) -> None:
        """Keep what this batch had to encode."""
        # Copies: an embedding may be a row of all that was encoded with it.
        fresh = {
            key: Entry(table.known[key].copy(), table.readings.get(key, b""))
            for key in (*table.texts, *table.pictures)
            if key in table.known
        }
        self._recent.keep(fresh.items())
        await self._cache.store(fresh)

    def _set_keys(self, items: Sequence[Item]) -> None:
        for item in items:
            if item.text is not None:
                item.text_key = content_key(self._digest, "text", item.text.encode())
            for index, content in item.pictures.items():
                item.picture_keys[index] = content_key(self._digest, "image", content)

    async def _decode(self, items: Sequence[Item], contents: dict[bytes, bytes]) -> dict[bytes, Picture | str]:
        """Return a picture, or the reason code why it is none, for each content."""
        posts = {key: [item.position for item in items if key in item.picture_keys.values()] for key in contents}
        loop = asyncio.get_running_loop()
        results = await asyncio.gather(
            *(
                loop.run_in_executor(self._decoder, self._decode_one, content, posts[key])
                for key, content in contents.items()
            )
        )
        return dict(zip(contents, results, strict=True))

    def _decode_one(self, content: bytes, posts: Sequence[str]) -> Picture | str:
        try:
            with self._watch.doing("picture", posts):
                return self._decode_picture(
                    content,
                    max_pixels=self._max_pixels,
                    drawn_text=self._drawn_text,
                    read_text=False,
                    frame=self._frame,
                )
        except PictureError as error:
            return error.code


def _drop_failed(items: Sequence[Item], failures: dict[bytes, str]) -> None:
    for item in items:
        for index, key in list(item.picture_keys.items()):
            if key in failures:
                item.drop_picture(index, failures[key])
        reject_if_empty(item)
