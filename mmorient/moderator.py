"""The public face of the model: posts in, labels out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mmorient.arithmetic.answers import answers
from mmorient.arithmetic.dense import lay_out
from mmorient.arithmetic.devices import DTYPES, DeviceName, find_device, kind_of, make_repeatable
from mmorient.arithmetic.exactness import differences, fingerprint, joined
from mmorient.arithmetic.tiles import Stacks, TileThreads
from mmorient.checkpointing.loading import Checkpoint, load_checkpoint
from mmorient.config import Calibration, GraphKind, Precision
from mmorient.digest import SHIPPED
from mmorient.encoders.building import compile_encoder
from mmorient.errors import CheckpointError
from mmorient.input.language import LANGUAGE_VERSION, languages_of
from mmorient.input.posts import Embedding, Frame, Picture, Post, PostEmbeddings, Reading
from mmorient.input.text import Window, post_text
from mmorient.input.units import SEPARATOR, has_words
from mmorient.labels import TASKS, PostLabels, checked_thresholds
from mmorient.network.embedders import PictureEmbedder, TextEmbedder
from mmorient.network.post_heads import PostHeads

if TYPE_CHECKING:
    from mmorient.input.ocr.drawn_text import DrawnText


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """What is stamped on a label and into a cache key.

    Attributes:
        name: The checkpoint's name.
        checkpoint: ``sha256:…`` of every file that can change a label.
        embedding: ``sha256:…`` of what makes a cached vector: encoders, preprocessing, HIMA stage 1, precision, tiles,
            and the bits that sample tiles have here.
        graph_context: ``bank`` or ``self``.
        precision: What the encoders compute in.
        arithmetic: Whose sums these are, such as ``avx512-3f9c1a2b7d60``: the kind of processor, and a digest of the
            bits that sample tiles have there. Equal where every bit of every label is.
    """

    name: str
    checkpoint: str
    embedding: str
    graph_context: GraphKind
    precision: Precision
    arithmetic: str


class Moderator:
    """MM-ORIENT, ready to label: a label is a function of the post, the checkpoint and the settings alone.

    A label never depends on the posts that are labelled along with it. Holds no state between calls; one thread at a
    time may call it, any thread.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: torch.device,
        precision: Precision = "fp32",
        graph_context: GraphKind = "bank",
        compiled: bool = False,
        cuda_graphs: bool = True,
        threads: int | None = None,
        thresholds: Mapping[str, float] | None = None,
    ) -> None:
        make_repeatable(device)
        tiles = checkpoint.config.tiles.get(device.type)
        if tiles is None:
            raise CheckpointError(checkpoint.path, f"sets no tiles for device {device.type!r}")
        dtype = DTYPES[precision]
        text_encoder = checkpoint.text_encoder().to(device, dtype).eval()
        picture_encoder = checkpoint.picture_encoder().to(device, dtype).eval()
        text_attention = checkpoint.attention("text").to(device).eval()
        picture_attention = checkpoint.attention("picture").to(device).eval()
        model = checkpoint.model().to(device).eval()
        for module in (text_encoder, picture_encoder, model):
            lay_out(module, device)
        if compiled:
            compile_encoder(text_encoder)
            compile_encoder(picture_encoder)
        self._threads = TileThreads(device, threads)
        # A compiled encoder is compiled anew for each shape, half a minute long: stacks would be shapes of their own.
        self._stacks = Stacks(allowed=device.type == "cpu" and not compiled)
        # What the compiler made may launch other kernels from call to call.
        recorded = device.type == "cuda" and cuda_graphs and not compiled
        self._texts = TextEmbedder(
            text_encoder,
            text_attention,
            tiles.texts,
            device,
            threads=self._threads,
            stacks=self._stacks,
            recorded=recorded,
        )
        self._reader = text_encoder.reader
        self._text_config = checkpoint.config.text_encoder
        self._pictures = PictureEmbedder(
            picture_encoder, picture_attention, tiles.pictures, device, threads=self._threads, recorded=recorded
        )
        self.bank = checkpoint.bank
        [context] = self._threads.run(checkpoint.bank.context, [model])
        self._heads = PostHeads(
            model,
            context if graph_context == "bank" else context.alone(),
            checkpoint.bank,
            tiles.posts,
            device,
            threads=self._threads,
            stacks=self._stacks,
            recorded=recorded,
        )
        self._calibration = checkpoint.calibration
        self._thresholds = checked_thresholds(thresholds or {})
        self._drawn_text = checkpoint.drawn_text()
        self._device = device
        before_cache = fingerprint([*self._texts.probes(), self._pictures.probe()], self._threads)
        every = fingerprint(self._heads.probes(), self._threads)
        self.identity = ModelIdentity(
            name=checkpoint.config.name,
            checkpoint=checkpoint.digest,
            embedding=checkpoint.embedding_digest(
                precision, compiled=compiled, tiles=tiles, arithmetic=f"{kind_of(device)}-{before_cache}"
            ),
            graph_context=graph_context,
            precision=precision,
            arithmetic=f"{kind_of(device)}-{joined(before_cache, every)}",
        )
        self.tasks = tuple(TASKS)

    @classmethod
    def from_checkpoint(
        cls,
        path: str | Path | None = None,
        *,
        device: DeviceName = "cpu",
        precision: Precision = "fp32",
        graph_context: GraphKind = "bank",
        compiled: bool = False,
        cuda_graphs: bool = True,
        threads: int | None = None,
        thresholds: Mapping[str, float] | None = None,
    ) -> Moderator:
        """Load a checkpoint.

        Args:
            path: Its folder; None is the one that comes with this package.
            device: ``auto`` takes CUDA, then MPS, then the CPU.
            precision: What the encoders compute in. All after the cache computes in fp32.
            graph_context: ``bank``, or ``self``, which compares a post with nobody. The paper's ``batch`` is refused.
            compiled: Encoders go through ``torch.compile``: other digits, so other cache keys. Loading takes half a
                minute for each padded length, and a C++ compiler must be there.
            cuda_graphs: On CUDA each tile of ``compact`` is recorded once and launched as one, with the same bits.
            threads: Tiles that a CPU computes side by side, each in one thread; None takes as many as torch has
                threads. They change the speed alone.
            thresholds: Binary task to a number between 0 and 1: the label is the positive class exactly where its
                published probability reaches it. The label of every other task is its most probable class.

        Raises:
            CheckpointError: The checkpoint cannot be used.
            ValueError: A setting that is none of the above, or a device that is not here.
        """
        checked_thresholds(thresholds or {})
        if graph_context not in {"bank", "self"}:
            raise ValueError(f"graph_context {graph_context!r}: a label may not depend on its batch; bank or self")
        if precision not in DTYPES:
            raise ValueError(f"precision {precision!r}: fp32, bf16 or fp16")
        checkpoint = load_checkpoint(SHIPPED if path is None else Path(path))
        return cls(
            checkpoint,
            device=find_device(device),
            precision=precision,
            graph_context=graph_context,
            compiled=compiled,
            cuda_graphs=cuda_graphs,
            threads=threads,
            thresholds=thresholds,
        )

    def prove(self) -> list[str]:
        """Compute sample tiles on every thread, at every place and in other company, and compare bits.

        Tries the stacks of tiles too, so that none is tried later on.

        Returns:
            A line for each way in which a label could depend on more than its post; none where all is well.
        """
        self._texts.stack_sizes()
        self._heads.prepare()
        return differences([*self._texts.probes(), self._pictures.probe(), *self._heads.probes()], self._threads)

    @property
    def device(self) -> str:
        """Where it computes: ``cpu``, ``cuda`` or ``mps``."""
        return self._device.type

    @property
    def calibration(self) -> Calibration:
        """What makes probabilities of the heads' outputs, and for which shares of the classes they are stated."""
        return self._calibration

    @property
    def text_width(self) -> int:
        """Width of a text's embedding: Dt + D."""
        return self._texts.width

    @property
    def picture_width(self) -> int:
        """Width of a picture's embedding: Dr + D."""
        return self._pictures.width

    @property
    def text_rows(self) -> int:
        """Texts of one length that are computed together; where there are fewer, the rest is padding."""
        return self._texts.rows

    @property
    def drawn_text(self) -> DrawnText | None:
        """What ``decode_picture`` must be given, so that a picture becomes what this checkpoint was trained on.

        None where the checkpoint neither reads nor paints pictures. Any thread may use it.
        """
        return self._drawn_text

    @property
    def picture_frame(self) -> Frame:
        """What ``decode_picture`` must be given, so that a picture becomes the square that the encoder reads."""
        return self._pictures.frame

    @property
    def reads_pictures(self) -> bool:
        """Whether a post without a text is read off its pictures."""
        return self._drawn_text is not None and self._drawn_text.reads

    @property
    def reads_beside(self) -> bool:
        """Whether ``ocr_text`` and ``alt_text`` are read beside a post's own text: ``post_text``'s ``beside``."""
        return self._text_config.beside

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that this checkpoint was made for, ISO 639-1; empty where it does not say."""
        return tuple(self._text_config.languages)

    @property
    def reading_version(self) -> str:
        """Of what tells a text's language. All else of a ``Reading`` depends on what ``identity.embedding`` covers."""
        return LANGUAGE_VERSION

    def supports(self, language: str | None) -> bool:
        """Whether this checkpoint was made for a language; true where either is not known."""
        claimed = self._text_config.languages
        return language is None or not claimed or language in claimed

    def read_texts(self, texts: Sequence[str]) -> list[Reading]:
        """How much of each text is read, and in which language it is; any thread may ask."""
        languages = languages_of([text.replace(SEPARATOR, " ") for text in texts])
        return [
            Reading(language, self.supports(language), round(read.unread, 2), read.truncated)
            for language, read in zip(languages, self._reader.read(texts), strict=True)
        ]

    def text_shapes(self, texts: Sequence[str]) -> list[tuple[int, int]]:
        """Of each text the padded length of its longest window, and the tokens of all its windows, padding included.

        Texts of one length are computed in one shape; what a text costs grows with its tokens. Any thread may ask.
        """
        padded = ([window.bucket for window in windows] for windows in self._reader.windows(texts))
        return [(max(lengths), sum(lengths)) for lengths in padded]

    def embed_texts(self, texts: Sequence[str]) -> list[Embedding]:
        """Texts to embeddings, fp16 ``[text_width]`` each: a text's alone, whatever stands beside it."""
        return self._texts.embed(texts)

    def embed_pictures(self, pictures: Sequence[Picture]) -> list[Embedding]:
        """Pictures to embeddings, fp16 ``[picture_width]`` each.

        Raises:
            ValueError: A picture that was decoded without this moderator's ``drawn_text`` and ``picture_frame``, or
                with another's.
        """
        if any(picture.frame != self.picture_frame for picture in pictures):
            raise ValueError("a picture was not decoded with frame=moderator.picture_frame")
        paints = self._drawn_text is not None and self._drawn_text.paints
        if any(picture.painted != paints for picture in pictures):
            raise ValueError("a picture was not decoded with drawn_text=moderator.drawn_text")
        return self._pictures.embed(pictures)

    @property
    def thresholds(self) -> Mapping[str, float]:
        """The thresholds that labels follow, by task; empty where every label is the most probable class."""
        return self._thresholds

    @property
    def threshold(self) -> float:
        """The cosine over which two posts are neighbours (section 3)."""
        return self._heads.model.threshold

    @property
    def picture_grid(self) -> tuple[int, int] | None:
        """Rows and columns in which the regions tile a picture; None where they have no fixed place."""
        return self._pictures.grid

    @torch.inference_mode()
    def attend_text(self, text: str) -> list[tuple[Window, Tensor]]:
        """HIMA stage 1's weights of one text: ``[t]`` for each window's tokens, summing to 1 over all windows."""
        return self._texts.attention(text)

    @torch.inference_mode()
    def attend_pictures(self, pictures: Sequence[Picture]) -> Tensor:
        """HIMA stage 1's weights of each picture's regions: ``[n, R]``."""
        return self._pictures.attention(pictures)

    def global_vectors(self, post: PostEmbeddings) -> tuple[Tensor | None, Tensor | None]:
        """What CMRL compares a post by: ``[D]`` of its text and ``[D]`` of its pictures pooled, None where absent."""
        tensors = self._heads.tensors([post])
        return (
            tensors.text_global[0].cpu() if post.text is not None else None,
            tensors.picture_global[0].cpu() if post.pictures else None,
        )

    def classify(self, posts: Sequence[PostEmbeddings]) -> list[PostLabels]:
        """Embeddings to labels, fresh or cached ones alike.

        Raises:
            ValueError: An embedding of another width than this checkpoint's.
        """
        if not posts:
            return []
        return answers(
            self._heads.outputs(posts), [post.modalities for post in posts], self._calibration, self._thresholds
        )

    def logits(self, posts: Sequence[PostEmbeddings]) -> list[dict[str, list[float]]]:
        """Embeddings to each head's outputs before calibration, head name to one a class.

        Raises:
            ValueError: An embedding of another width than this checkpoint's.
        """
        return self._heads.logits(posts)

    def label(self, posts: Sequence[Post]) -> list[PostLabels]:
        """Posts to labels: ``embed`` and ``classify``, without a cache.

        A text of white space alone counts as none; where there is none, and this checkpoint reads pictures, what is
        drawn over them is the text.

        Raises:
            ValueError: A picture that was decoded without this moderator's ``drawn_text``, or with another's.
        """
        return self.classify(self.embed(posts))

    def embed(self, posts: Sequence[Post]) -> list[PostEmbeddings]:
        """Posts to embeddings: ``embed_texts`` and ``embed_pictures`` of whatever each post has.

        Raises:
            ValueError: A picture that was decoded without this moderator's ``drawn_text``, or with another's.
        """
        own = [self.text_of(post) for post in posts]
        text_embeddings = iter(self.embed_texts([text for text in own if text is not None]))
        picture_embeddings = iter(self.embed_pictures([picture for post in posts for picture in post.pictures]))
        return [
            PostEmbeddings(
                next(text_embeddings) if text is not None else None,
                tuple(next(picture_embeddings) for _ in post.pictures),
            )
            for post, text in zip(posts, own, strict=True)
        ]

    def text_of(self, post: Post) -> str | None:
        """The text that is read for a post: its own, or else what is drawn over its pictures where those are read.

        Raises:
            ValueError: A picture that was not read, where its text is wanted.
        """
        # It may be put together of several parts already, as ``post_text`` does.
        if post.text is not None and has_words(post.text):
            return post.text
        if not self.reads_pictures:
            return None
        text = post_text(None, [picture.text for picture in post.pictures])
        if text is None and any(picture.text is None for picture in post.pictures):
            raise ValueError("a post without a text has a picture that was not read: see decode_picture's read_text")
        return text
