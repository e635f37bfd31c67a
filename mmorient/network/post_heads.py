"""The model after the cache: embeddings of posts to each head's outputs, a tile of posts at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from mmorient.arithmetic.exactness import Probe
from mmorient.arithmetic.tiles import Stacks, TileThreads, stack_up
from mmorient.arithmetic.transfer import to_cpu
from mmorient.input.posts import PostEmbeddings
from mmorient.network.bank import Bank
from mmorient.network.cmrl import StandInRows
from mmorient.network.mm_orient import GraphContext, MmOrient, PostTensors
from mmorient.network.post_tensors import sample_embeddings, stack_posts

# A call of more posts is no faster a post on a CPU.
_STACK_POSTS = 64


class PostHeads:
    """HIMA stage 2, CMRL and MLC.

    Args:
        model: All three.
        context: The posts that each post is compared with.
        bank: Where sample posts have neighbours.
        rows: Posts of one tile.
        device: Where the model is.
        threads: Compute tiles.
        stacks: How many tiles one call may hold.
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
    ) -> None:
        self.model = model
        self.context = replace(context, stand_ins=StandInRows(model.no_picture_global))
        self.rows = rows
        self._bank = bank
        self._device = device
        self._threads = threads
        self._stacks = stacks

    def logits(self, posts: Sequence[PostEmbeddings]) -> list[dict[str, list[float]]]:
        """Embeddings to each head's outputs before calibration, head name to one a class.

        Raises:
            ValueError: An embedding of another width than the model's.
        """
        rows = [
            {head: values[row] for head, values in lists.items()}
            for lists in ({head: values.tolist() for head, values in heads.items()} for heads in self.outputs(posts))
            for row in range(len(next(iter(lists.values()))))
        ]
        return rows[: len(posts)]

    def outputs(self, posts: Sequence[PostEmbeddings]) -> list[dict[str, Tensor]]:
        """Each call's logits by head, ``[rows, outputs]``; only the last call's last rows are padding.

        Raises:
            ValueError: An embedding of another width than the model's.
        """
        tiles = -(-len(posts) // self.rows)
        calls: list[Sequence[PostEmbeddings]] = []
        start = 0
        sizes = self.stack_sizes() if tiles > 1 else (1,)
        # A second thread takes tiles from a stack that is not full: no sooner done, and half as much work again.
        threads = max(1, min(self._threads.count, tiles // sizes[0]))
        for size in stack_up(tiles, sizes, threads):
            calls.append(posts[start : start + size * self.rows])
            start += size * self.rows
        return self._threads.run(self._heads, calls)

    def stack_sizes(self) -> tuple[int, ...]:
        """How many tiles one call may hold with the same bits; tried on first use."""
        return self._stacks.sizes(
            "posts", _STACK_POSTS // self.rows, lambda tiles: self.probe().stack_is_equal(tiles, self._threads)
        )

    def probe(self) -> Probe[PostEmbeddings]:
        """Sample posts, and what is computed of them."""
        sizes = self.model.sizes
        samples = sample_embeddings(
            2 * self.rows, self._bank, sizes.text_vector, sizes.picture_vector, sizes.global_vector
        )
        return Probe("posts", self.rows, samples, lambda posts: torch.cat(list(self._heads(posts).values()), dim=1))

    def tensors(self, posts: Sequence[PostEmbeddings]) -> PostTensors:
        """Embeddings as what the model takes, a row a post.

        Raises:
            ValueError: An embedding of another width than the model's.
        """
        sizes = self.model.sizes
        return stack_posts(posts, sizes.text_vector, sizes.picture_vector, sizes.global_vector).to(self._device)

    def _heads(self, posts: Sequence[PostEmbeddings]) -> dict[str, Tensor]:
        """Whole tiles of posts to logits ``[rows, outputs]`` by head: rows past them are padding."""
        padded = [*posts, *[PostEmbeddings()] * (-len(posts) % self.rows)]
        heads = self.model(self.tensors(padded), self.context)
        return dict(zip(heads, to_cpu(list(heads.values())), strict=True))
