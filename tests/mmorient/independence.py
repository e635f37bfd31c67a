"""Does a label depend on anything but its post? `python -m tests.mmorient.independence --posts N`.

Labels N posts in one reference order, in one thread; then alone, in shuffled batches of every size, beside hostile
batch-mates, and through the cache's bytes, with every number of threads that is asked for, and counts the posts of
which a bit differs: in the embeddings before they are rounded to fp16, or in the logits. Then does the same in the
paper's `batch` context, which must fail.
"""

import argparse
import hashlib
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mmorient import Moderator, Picture, Post, PostEmbeddings, PostLabels, decode_picture
from mmorient.arithmetic.devices import DeviceName
from mmorient.config import Precision
from mmorient.network import embedders

SAMPLES = Path(__file__).parent.parent.parent / "samples"
HOSTILE_POSTS = 1000  # at most so many are labelled beside hostile posts, which take five times as long as they do
PICTURE_SHARE = 0.15


@dataclass(frozen=True)
class Answer:
    """All that is computed of one post: embeddings before rounding, logits, labels."""

    embeddings: bytes
    logits: bytes
    labels: PostLabels


Labeller = Callable[[Sequence[Post]], list[Answer]]


@dataclass
class Difference:
    """Of how many posts something differs from the reference."""

    embeddings: int = 0
    logits: int = 0
    labels: int = 0

    def add(self, reference: Answer, other: Answer) -> None:
        """Compare one post's bits, and what is published of it."""
        self.embeddings += reference.embeddings != other.embeddings
        self.logits += reference.logits != other.logits
        self.labels += reference.labels != other.labels


def make_posts(count: int, seed: int = 0) -> list[Post]:
    """Return posts put together from the sample posts' sentences and pictures: all lengths, some with a picture."""
    rng = random.Random(seed)
    lines = [json.loads(line) for line in (SAMPLES / "posts.jsonl").read_text(encoding="utf-8").splitlines()]
    words = " ".join(line.get("text") or "" for line in lines).split()
    files = sorted((SAMPLES / "pictures").iterdir())
    pictures = [decode_picture(path.read_bytes()) for path in rng.sample(files, min(len(files), 30))]
    posts = []
    for _ in range(count):
        length = rng.choice((1, 3, 7, 12, 20, 35, 60, 130, 260)) if rng.random() < 0.3 else rng.randint(5, 25)
        start = rng.randrange(len(words) - length)
        with_picture = rng.random() < PICTURE_SHARE
        text = None if with_picture and rng.random() < 0.3 else " ".join(words[start : start + length])
        posts.append(Post(text, (_shifted(rng.choice(pictures), rng),) if with_picture else ()))
    return posts


def _shifted(picture: Picture, rng: random.Random) -> Picture:
    turn = (rng.randrange(224), rng.randrange(224))
    return Picture(np.roll(picture.pixels, turn, axis=(0, 1)), picture.width, picture.height)


def hostile_posts() -> list[Post]:
    """Return batch-mates that are as large, as empty and as extreme as can be."""
    white = np.full((224, 224, 3), 255, dtype=np.uint8)
    noise = np.random.default_rng(1).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    return [
        Post("\U0001f525" * 400),
        Post("a"),
        Post("kill hate die " * 300),
        Post("\u202e\u0000\ufffd" * 50 + "x"),
        Post(None, (Picture(white, 224, 224), Picture(noise, 224, 224))),
        Post("?", (Picture(np.asarray(Image.new("RGB", (224, 224))), 1, 1),) * 3),
    ]


@contextmanager
def unrounded() -> Iterator[None]:
    """Let embeddings keep their fp32 bits."""
    rounded = embedders._embedding

    def kept(vector: Tensor, global_: Tensor) -> NDArray[np.float32]:
        found: NDArray[np.float32] = torch.cat([vector, global_]).float().numpy()
        return found

    embedders._embedding = kept  # type: ignore[assignment]
    try:
        yield
    finally:
        embedders._embedding = rounded


def answers_of(moderator: Moderator) -> Labeller:
    """Return a labeller that keeps all that is computed, and rounds embeddings when they are classified."""

    def label(posts: Sequence[Post]) -> list[Answer]:
        with unrounded():
            embedded = moderator.embed(posts)
        rounded = [
            PostEmbeddings(
                None if post.text is None else post.text.astype(np.float16),
                tuple(picture.astype(np.float16) for picture in post.pictures),
            )
            for post in embedded
        ]
        return [
            Answer(_bits(post), json.dumps(logits).encode(), labels)
            for post, logits, labels in zip(
                embedded, moderator.logits(rounded), moderator.classify(rounded), strict=True
            )
        ]

    return label


def _bits(post: PostEmbeddings) -> bytes:
    return b"|".join(b"" if one is None else one.tobytes() for one in (post.text, *post.pictures))


def alone(label: Labeller, posts: Sequence[Post], _: random.Random) -> list[Answer]:
    """Label each post in a call of its own."""
    return [label([post])[0] for post in posts]


def shuffled(label: Labeller, posts: Sequence[Post], rng: random.Random) -> list[Answer]:
    """Label in another order, in batches of every size from 1 to 70."""
    order = list(range(len(posts)))
    rng.shuffle(order)
    result: dict[int, Answer] = {}
    while order:
        size = rng.randint(1, 70)
        chunk, order = order[:size], order[size:]
        result.update(zip(chunk, label([posts[index] for index in chunk]), strict=True))
    return [result[index] for index in range(len(posts))]


def beside_hostile(label: Labeller, posts: Sequence[Post], rng: random.Random) -> list[Answer]:
    """Label two posts at a time, with hostile ones before, between and behind, and near copies of themselves."""
    result: list[Answer] = []
    for start in range(0, len(posts), 2):
        pair = list(posts[start : start + 2])
        copies = [Post(f"{post.text} {post.text}", post.pictures) for post in pair]
        mates = rng.sample(hostile_posts(), 3)
        batch = [mates[0], pair[0], mates[1], *copies, *pair[1:], mates[2]]
        places = [1] if len(pair) == 1 else [1, 5]
        answered = label(batch)
        result += [answered[place] for place in places]
    return result


def through_cache(moderator: Moderator) -> Labeller:
    """Return a labeller that embeds each content apart, and puts every embedding through bytes, as the cache does."""

    def label(posts: Sequence[Post]) -> list[Answer]:
        with unrounded():
            embedded = [moderator.embed([post])[0] for post in posts]
        cached = [
            PostEmbeddings(
                None if post.text is None else _again(post.text), tuple(_again(picture) for picture in post.pictures)
            )
            for post in embedded
        ]
        return [
            Answer(_bits(post), json.dumps(logits).encode(), labels)
            for post, logits, labels in zip(embedded, moderator.logits(cached), moderator.classify(cached), strict=True)
        ]

    return label


def _again(embedding: NDArray[np.float16]) -> NDArray[np.float16]:
    return np.frombuffer(embedding.astype("<f2").tobytes(), dtype="<f2")


def in_batch_context(moderator: Moderator) -> Labeller:
    """Return a labeller that compares the posts of a call with each other, as published."""

    def label(posts: Sequence[Post]) -> list[Answer]:
        embedded = moderator.embed(posts)
        heads = moderator._heads
        frozen = heads.context
        with torch.inference_mode():
            heads.context = heads.model.batch_context(heads.tensors(embedded))
        rows, heads.rows = heads.rows, len(posts)
        try:
            return [
                Answer(b"", json.dumps(logits).encode(), labels)
                for logits, labels in zip(moderator.logits(embedded), moderator.classify(embedded), strict=True)
            ]
        finally:
            heads.context, heads.rows = frozen, rows

    return label


def compare(
    label: Labeller, posts: Sequence[Post], reference: Sequence[Answer], way: Callable[..., list[Answer]]
) -> Difference:
    """Return how `way` of labelling differs from the reference."""
    difference = Difference()
    for ours, theirs in zip(reference, way(label, posts, random.Random(7)), strict=True):
        difference.add(ours, theirs)
    return difference


def reference_answers(label: Labeller, posts: Sequence[Post]) -> list[Answer]:
    """Label in order, 64 at a time."""
    return [answer for start in range(0, len(posts), 64) for answer in label(posts[start : start + 64])]


def digest(answers: Sequence[Answer]) -> str:
    """Return a digest of all bits."""
    return hashlib.sha256(b"".join(answer.embeddings + answer.logits for answer in answers)).hexdigest()[:16]


def check(
    moderator: Moderator, threads: int, posts: Sequence[Post], reference: Sequence[Answer], say: Callable[[str], None]
) -> bool:
    """Print a line for each way of labelling; return whether no bit changed."""
    plain = answers_of(moderator)
    good = True
    ways = (
        ("alone", plain, alone, len(posts)),
        ("shuffled, every size", plain, shuffled, len(posts)),
        ("beside hostile posts", plain, beside_hostile, HOSTILE_POSTS),
        ("through the cache", through_cache(moderator), shuffled, len(posts)),
    )
    for name, label, way, most in ways:
        found = compare(label, posts[:most], reference[:most], way)
        good &= found == Difference()
        say(
            f"{moderator.identity.precision}  {threads} thread{'s' * (threads > 1)}  {name:<22}"
            f"{len(posts[:most]):>6} posts, a bit differs in the embeddings of {found.embeddings}, "
            f"in the logits of {found.logits}, in what is published of {found.labels}"
        )
    return good


def check_batch_context(moderator: Moderator, posts: Sequence[Post], say: Callable[[str], None]) -> bool:
    """Print how the paper's protocol does; return whether it fails, as it must."""
    label = in_batch_context(moderator)
    found = compare(label, posts, reference_answers(label, posts), shuffled)
    say(
        f"batch context, as published: shuffled, {len(posts)} posts, a bit differs in the logits of {found.logits}, "
        f"in what is published of {found.labels}"
    )
    return found.logits > 0


def main() -> None:
    """Run every check; exit 1 if a label depends on its company, or if the check cannot tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=1000)
    parser.add_argument("--checkpoint", default=None)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2, 4])
    args = parser.parse_args()
    posts = make_posts(args.posts)
    device: DeviceName = args.device
    good = True
    print(f"{len(posts)} posts, {sum(bool(post.pictures) for post in posts)} with a picture", flush=True)
    for name in args.precisions:
        precision: Precision = name
        reference: list[Answer] = []
        for threads in args.threads:
            moderator = Moderator.from_checkpoint(args.checkpoint, device=device, precision=precision, threads=threads)
            reference = reference or reference_answers(answers_of(moderator), posts)
            good &= check(moderator, threads, posts, reference, lambda line: print(line, flush=True))
        print(f"{precision}  arithmetic {moderator.identity.arithmetic}, all bits {digest(reference)}", flush=True)
    moderator = Moderator.from_checkpoint(args.checkpoint, device=device)
    good &= check_batch_context(moderator, posts[: min(len(posts), 1000)], lambda line: print(line, flush=True))
    print("independent" if good else "NOT INDEPENDENT")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
