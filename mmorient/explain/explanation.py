"""Everything that can be said of why one post has its labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mmorient.explain.heatmap import RegionReading, read_regions
from mmorient.explain.neighbours import Nearest, nearest
from mmorient.explain.without import Removal, Without, moved, reductions
from mmorient.explain.words import TextReading, read_words
from mmorient.input.posts import Post, PostEmbeddings
from mmorient.labels import PostLabels
from mmorient.moderator import ModelIdentity, Moderator


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a post has its labels.

    Attributes:
        model: What labelled it.
        labels: The labels, those of ``Moderator.label``.
        text: Where the model looked in the text; None without a text.
        pictures: Where it looked in each picture.
        threshold: The cosine over which a reference post is a neighbour in the graphs.
        near_text: The reference posts nearest by text; None without a text.
        near_picture: The nearest by picture, by the pictures pooled where there are several; None without one.
        without: The answers without the text, without each picture, without all.
        without_words: The answers without each of the most attended words, alone.
    """

    model: ModelIdentity
    labels: PostLabels
    text: TextReading | None
    pictures: tuple[RegionReading, ...]
    threshold: float
    near_text: Nearest | None
    near_picture: Nearest | None
    without: tuple[Without, ...]
    without_words: tuple[Without, ...]


def explain_post(moderator: Moderator, post: Post, *, neighbours: int = 5, words: int = 5) -> Explanation:
    """Explain one post's labels.

    Args:
        moderator: The model.
        post: The post, its pictures decoded as the moderator wants them.
        neighbours: How many reference posts by each modality.
        words: How many of the most attended words are taken away, each alone.

    Raises:
        ValueError: A picture that was decoded for another checkpoint.
    """
    text = moderator.text_of(post)
    reading = None if text is None else read_words(text, moderator.attend_text(text))
    shorter = _shorter(reading, words)
    embeddings = moderator.embed_texts([one for one in (text, *shorter.values()) if one is not None])
    whole = PostEmbeddings(embeddings[0] if embeddings else None, tuple(moderator.embed_pictures(post.pictures)))
    parts = reductions(whole)
    by_word = [
        (removal, replace(whole, text=embedding)) for removal, embedding in zip(shorter, embeddings[1:], strict=True)
    ]
    labels, *rest = moderator.classify([whole, *(post for _, post in parts + by_word)])
    moves = [moved(removal, labels, less) for (removal, _), less in zip(parts + by_word, rest, strict=True)]
    near_text, near_picture = _near(moderator, whole, neighbours)
    shares = moderator.attend_pictures(post.pictures)
    return Explanation(
        moderator.identity,
        labels,
        reading,
        tuple(
            read_regions(row, moderator.picture_grid, (picture.width, picture.height))
            for row, picture in zip(shares, post.pictures, strict=True)
        ),
        moderator.threshold,
        near_text,
        near_picture,
        tuple(moves[: len(parts)]),
        tuple(moves[len(parts) :]),
    )


def _shorter(reading: TextReading | None, words: int) -> dict[Removal, str]:
    """The text without each of its most attended words; none where one word is all there is to read."""
    if reading is None or len(reading.read) < 2:
        return {}
    return {
        Removal("word", reading.words.index(word)): reading.text[: word.start] + reading.text[word.end :]
        for word in reading.read[:words]
    }


def _near(moderator: Moderator, post: PostEmbeddings, count: int) -> tuple[Nearest | None, Nearest | None]:
    text, picture = moderator.global_vectors(post)
    bank, threshold = moderator.bank, moderator.threshold
    return (
        None
        if text is None
        else nearest(text, bank.text_global, bank.text_index, bank.labels, threshold=threshold, count=count),
        None
        if picture is None
        else nearest(picture, bank.picture_global, bank.picture_index, bank.labels, threshold=threshold, count=count),
    )
