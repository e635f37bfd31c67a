"""The model after the cache: embeddings of posts to each head's outputs, a tile of posts at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmorient.arithmetic.exactness import Probe, differences
from mmorient.arithmetic.launches import Launches
from mmorient.arithmetic.tiles import Stacks, TileThreads, stack_up
from mmorient.arithmetic.transfer import side_by_side, to_cpu
from mmorient.input.posts import PostEmbeddings
from mmorient.network.bank import Bank
from mmorient.network.mm_orient import GraphContext, MmOrient, PostTensors
from mmorient.network.post_tensors import sample_embeddings, stack_posts, stack_texts
from mmorient.network.text_heads import TextHeads

# A call of more posts is no faster a post on a CPU.
_STACK_POSTS = 64


class PostHeads:
    """HIMA stage 2, CMRL and MLC.

    Posts without pictures have tiles of their own on a CPU, where less is to be computed of them. So what a post is
    computed with never decides how.

    Args:
        model: All three.
        context: The posts that each post is compared with.
        bank: Where sample posts have neighbours.
        rows: Posts of one tile.
        device: Where the model is.
        threads: Compute tiles.
        stacks: How many tiles one call may hold.
        recorded: Whether tiles are recorded on a GPU.
    """

    def __init__(
        self,
        model: MmOrient,
        context: GraphContext,
        bank: Bank,
        rows: int,
        device: torch.device,
        *,
        threads: TileThreads,
        stacks: Stacks,
        recorded: bool = False,
    ) -> None:
        self.model = model
        self.rows = rows
        self._bank = bank
        self._device = device
        self._threads = threads
        self._stacks = stacks
        self._recorded = recorded
        self.context = context

    @property
    def context(self) -> GraphContext:
        """The posts that each post is compared with."""
        return self._context

    @context.setter
    def context(self, context: GraphContext) -> None:
        self._context = context
        self._launches = Launches(self._side_by_side, self._device, recorded=self._recorded)
        self._texts: TextHeads | None = None
        if self._device.type == "cpu" and not context.among_themselves:
            [self._texts] = self._threads.run(lambda _: TextHeads(self.model, context), [None])
            # Its products have other shapes than the model's: where their rows are not their own, it is left out.
            if differences([self._probes()["texts"]], self._threads):
                self._texts = None

    def logits(self, posts: Sequence[PostEmbeddings]) -> list[dict[str, list[float]]]:
        """Embeddings to each head's outputs before calibration, head name to one a class.

        Raises:
            ValueError: An embedding of another width than the model's.
        """
        lists = {head: values.tolist() for head, values in self.outputs(posts).items()}
        return [{head: values[row] for head, values in lists.items()} for row in range(len(posts))]

    def outputs(self, posts: Sequence[PostEmbeddings]) -> dict[str, NDArray[np.float64]]:
        """Logits by head, ``[posts, outputs]``.

        Raises:
            ValueError: An embedding of another width than the model's.
        """
        alone = [self._texts is not None and _is_text_alone(post) for post in posts]
        # Those with pictures first: they take longer.
        order = sorted(range(len(posts)), key=alone.__getitem__)
        beside = alone.count(False)
        calls = [(self._whole, part) for part in self._parts(order[:beside], "posts")]
        calls += [(self._texts_alone, part) for part in self._parts(order[beside:], "texts")]
        found = to_cpu(self._threads.run(lambda call: call[0]([posts[index] for index in call[1]]), calls))
        sizes = self.model.sizes.heads
        # Not torch: each of its operations lets go of the interpreter.
        outputs = np.empty((len(posts), sum(sizes.values())))
        for tile, (_, part) in zip(found, calls, strict=True):
            outputs[part] = tile.numpy()[: len(part)]
        ends = list(accumulate(sizes.values()))
        return dict(zip(sizes, np.split(outputs, ends[:-1], axis=1), strict=True))

    def prepare(self) -> None:
        """Try how many tiles one call may hold."""
        for kind in self._probes():
            self._sizes(kind)

    def probes(self) -> list[Probe[PostEmbeddings]]:
        """Sample posts, and what is computed of them: of each kind of tiles."""
        return list(self._probes().values())

    def tensors(self, posts: Sequence[PostEmbeddings]) -> PostTensors:
        """Embeddings as what the model takes, a row a post.

        Raises:
            ValueError: An embedding of another width than the model's.
        """
        return self._stacked(posts).to(self._device)

    def _stacked(self, posts: Sequence[PostEmbeddings]) -> PostTensors:
        sizes = self.model.sizes
        return stack_posts(posts, sizes.text_vector, sizes.picture_vector, sizes.global_vector)

    def _parts(self, order: Sequence[int], kind: str) -> list[Sequence[int]]:
        """Share posts of one kind out over calls."""
        tiles = -(-len(order) // self.rows)
        sizes = self._sizes(kind) if tiles > 1 else (1,)
        # A second thread takes tiles from a stack that is not full: no sooner done, and half as much work again.
        threads = max(1, min(self._threads.count, tiles // sizes[0]))
        parts, start = [], 0
        for size in stack_up(tiles, sizes, threads):
            parts.append(order[start : start + size * self.rows])
            start += size * self.rows
        return parts

    def _sizes(self, kind: str) -> tuple[int, ...]:
        """How many tiles of a kind one call may hold with the same bits; tried on first use."""
        return self._stacks.sizes(
            kind, _STACK_POSTS // self.rows, lambda tiles: self._probes()[kind].stack_is_equal(tiles, self._threads)
        )

    def _probes(self) -> dict[str, Probe[PostEmbeddings]]:
        sizes = self.model.sizes
        # Two tiles of each kind: two of five samples are texts alone.
        count = self.rows * (2 if self._texts is None else 8)
        samples = sample_embeddings(count, self._bank, sizes.text_vector, sizes.picture_vector, sizes.global_vector)
        texts = [post for post in samples if _is_text_alone(post)]
        probes = {"posts": Probe("posts", self.rows, samples[: 2 * self.rows], lambda tile: self._whole(tile).cpu())}
        if self._texts is not None:
            probes["texts"] = Probe("posts without pictures", self.rows, texts[: 2 * self.rows], self._texts_alone)
        return probes

    def _whole(self, posts: Sequence[PostEmbeddings]) -> Tensor:
        """Whole tiles of any posts to the logits of all heads, ``[rows, outputs]``: rows past them are padding.

        They are on the device, where they may still be computed.
        """
        rows = self._stacked(self._padded(posts))
        return self._launches(*(getattr(rows, field.name) for field in fields(rows)))

    def _side_by_side(self, *rows: Tensor) -> Tensor:
        """The fields of ``PostTensors`` to the logits of all heads."""
        return side_by_side(list(self.model(PostTensors(*rows), self._context).values()))

    def _texts_alone(self, posts: Sequence[PostEmbeddings]) -> Tensor:
        """The same of posts with a text and no picture."""
        if self._texts is None:
            raise ValueError("this context has no tiles for texts alone")
        sizes = self.model.sizes
        return self._texts(stack_texts(posts, sizes.text_vector + sizes.global_vector, -len(posts) % self.rows))

    def _padded(self, posts: Sequence[PostEmbeddings]) -> list[PostEmbeddings]:
        return [*posts, *[PostEmbeddings()] * (-len(posts) % self.rows)]


def _is_text_alone(post: PostEmbeddings) -> bool:
    return not post.pictures and post.text is not None
