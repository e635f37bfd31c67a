"""Embeddings of posts, fresh or cached, as the tensors that the model takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mmorient.input.posts import Embedding, PostEmbeddings
from mmorient.network.bank import Bank
from mmorient.network.mm_orient import PostTensors


def stack_posts(
    posts: Sequence[PostEmbeddings], text_vector: int, picture_vector: int, global_vector: int
) -> PostTensors:
    """Stack posts, a row each; several pictures of one post count as their mean.

    Raises:
        ValueError: An embedding of another width.
    """
    text_width, picture_width = text_vector + global_vector, picture_vector + global_vector
    texts = torch.zeros(len(posts), text_width)
    pictures = torch.zeros(len(posts), picture_width)
    if own := {row: _checked(post.text, text_width, "text") for row, post in enumerate(posts) if post.text is not None}:
        texts[list(own)] = _fp32(own.values())
    for row, post in enumerate(posts):
        if post.pictures:
            every = _fp32(_checked(picture, picture_width, "picture") for picture in post.pictures)
            pictures[row] = _pooled(every, picture_vector)
    return PostTensors(
        texts[:, :text_vector],
        texts[:, text_vector:],
        torch.tensor([post.text is not None for post in posts]),
        pictures[:, :picture_vector],
        pictures[:, picture_vector:],
        torch.tensor([bool(post.pictures) for post in posts]),
    )


def stack_texts(posts: Sequence[PostEmbeddings], width: int, padding: int = 0) -> Tensor:
    """Texts of posts, fp32 ``[posts + padding, width]``.

    Raises:
        ValueError: An embedding of another width.
    """
    own = [_checked(post.text, width, "text") for post in posts if post.text is not None]
    return _fp32([*own, *[np.zeros(width, np.float16)] * padding])


def sample_embeddings(
    count: int, bank: Bank, text_vector: int, picture_vector: int, global_vector: int
) -> list[PostEmbeddings]:
    """Embeddings of made-up posts: with text, pictures, both, and neighbours in the bank, in turns."""
    noise = np.random.default_rng(0)

    def sample(vector: int, near: Tensor, *, neighbour: bool) -> Embedding:
        own = noise.normal(size=global_vector)
        if neighbour and len(near):
            own = near[noise.integers(len(near))].float().numpy() + own / global_vector
        made = np.concatenate([noise.normal(size=vector), own / np.linalg.norm(own)])
        embedding: Embedding = made.astype(np.float16)
        return embedding

    posts = []
    for index in range(count):
        text = sample(text_vector, bank.text_global, neighbour=index % 4 == 0)
        pictures = [
            sample(picture_vector, bank.picture_global, neighbour=index % 4 == 1) for _ in range(max(0, index % 5 - 1))
        ]
        posts.append(PostEmbeddings(text if index % 7 or not pictures else None, tuple(pictures)))
    return posts


def _checked(embedding: Embedding, width: int, what: str) -> Embedding:
    if embedding.shape != (width,) or embedding.dtype != np.float16:
        raise ValueError(f"{what} embedding is {embedding.dtype} {embedding.shape}, not float16 ({width},)")
    return embedding


def _fp32(embeddings: Iterable[Embedding]) -> Tensor:
    """Embeddings as ``[n, width]``."""
    return torch.from_numpy(np.stack(list(embeddings)).astype(np.float32))


def _pooled(pictures: Tensor, vector: int) -> Tensor:
    """Several pictures of one post as one: the mean, the global part of length 1 again: ``[n, w]`` to ``[w]``."""
    mean = pictures.mean(0)
    return torch.cat([mean[:vector], functional.normalize(mean[vector:], dim=0)])
