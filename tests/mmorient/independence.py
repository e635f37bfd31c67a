"""Does a label depend on anything but its post? `python -m tests.mmorient.independence --posts N`.

Labels N posts in one reference order, then alone, in shuffled batches of every size, beside hostile batch-mates, and
through the cache's bytes, and counts what differs. Then does the same in the paper's `batch` context, which must fail.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mmorient import Moderator, Picture, Post, PostEmbeddings, PostLabels, decode_picture, labels
from mmorient.moderator import DeviceName, Precision

SAMPLES = Path(__file__).parent.parent.parent / "samples"
TOLERANCE = 1e-5
HOSTILE_POSTS = 1000  # at most so many are labelled beside hostile posts, which take five times as long as they do
PICTURE_SHARE = 0.15

Labeller = Callable[[Sequence[Post]], list[PostLabels]]


@dataclass
class Difference:
    """What of N posts differs from the reference."""

    changed_labels: int = 0
    changed_digits: int = 0
    largest: float = 0.0

    def add(self, reference: PostLabels, other: PostLabels) -> None:
        """Compare one post's unrounded answers."""
        digits = False
        for ours, theirs in zip(answers(reference), answers(other), strict=True):
            self.largest = max(self.largest, *(abs(a - b) for a, b in zip(ours, theirs, strict=True)))
            digits |= labels.rounded(ours) != labels.rounded(theirs)
        self.changed_digits += digits
        self.changed_labels += said(reference) != said(other)


def said(post: PostLabels) -> list[str]:
    """Return the label of every task and every intensity."""
    return [one.label for task in post.tasks.values() for one in (task, task.intensity) if one is not None]


def answers(post: PostLabels) -> Iterator[list[float]]:
    """Yield the probabilities of every task and every intensity."""
    for task in post.tasks.values():
        yield list(task.probabilities.values())
        if task.intensity is not None:
            yield list(task.intensity.probabilities.values())


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
    """Let labels carry probabilities before rounding."""
    rounded = labels.rounded
    labels.rounded = list  # type: ignore[assignment]
    try:
        yield
    finally:
        labels.rounded = rounded


def alone(label: Labeller, posts: Sequence[Post], _: random.Random) -> list[PostLabels]:
    """Label each post in a call of its own."""
    return [label([post])[0] for post in posts]


def shuffled(label: Labeller, posts: Sequence[Post], rng: random.Random) -> list[PostLabels]:
    """Label in another order, in batches of every size from 1 to 70."""
    order = list(range(len(posts)))
    rng.shuffle(order)
    result: dict[int, PostLabels] = {}
    while order:
        size = rng.randint(1, 70)
        chunk, order = order[:size], order[size:]
        result.update(zip(chunk, label([posts[index] for index in chunk]), strict=True))
    return [result[index] for index in range(len(posts))]


def beside_hostile(label: Labeller, posts: Sequence[Post], rng: random.Random) -> list[PostLabels]:
    """Label two posts at a time, with hostile ones before, between and behind, and near copies of themselves."""
    result: list[PostLabels] = []
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
    """Return a labeller that puts every embedding through bytes, as the cache does."""

    def again(
        embedding: "np.ndarray[tuple[int], np.dtype[np.float16]]",
    ) -> "np.ndarray[tuple[int], np.dtype[np.float16]]":
        return np.frombuffer(embedding.tobytes(), dtype="<f2")

    def label(posts: Sequence[Post]) -> list[PostLabels]:
        embedded = []
        for post in posts:
            text = again(moderator.embed_texts([post.text])[0]) if post.text else None
            embedded.append(PostEmbeddings(text, tuple(map(again, moderator.embed_pictures(post.pictures)))))
        return moderator.classify(embedded)

    return label


def in_batch_context(moderator: Moderator) -> Labeller:
    """Return a labeller that compares the posts of a call with each other, as published."""

    def label(posts: Sequence[Post]) -> list[PostLabels]:
        texts = [moderator.embed_texts([post.text])[0] if post.text else None for post in posts]
        embedded = [
            PostEmbeddings(text, tuple(moderator.embed_pictures(post.pictures)))
            for text, post in zip(texts, posts, strict=True)
        ]
        frozen = moderator._context
        moderator._context = moderator._model.batch_context(moderator._tensors(embedded))
        rows, moderator._rows = moderator._rows, len(posts)
        try:
            return moderator.classify(embedded)
        finally:
            moderator._context, moderator._rows = frozen, rows

    return label


def compare(
    label: Labeller, posts: Sequence[Post], reference: Sequence[PostLabels], way: Callable[..., list[PostLabels]]
) -> Difference:
    """Return how `way` of labelling differs from the reference."""
    difference = Difference()
    with unrounded():
        others = way(label, posts, random.Random(7))
    for ours, theirs in zip(reference, others, strict=True):
        difference.add(ours, theirs)
    return difference


def reference_labels(label: Labeller, posts: Sequence[Post]) -> list[PostLabels]:
    """Label in order, 64 at a time."""
    with unrounded():
        return [answer for start in range(0, len(posts), 64) for answer in label(posts[start : start + 64])]


def check(moderator: Moderator, posts: Sequence[Post], say: Callable[[str], None]) -> bool:
    """Print a line for each way of labelling; return whether no label and no published digit changed."""
    precision = moderator.identity.precision
    reference = reference_labels(moderator.label, posts)
    good = True
    ways = (
        ("alone", moderator.label, alone, len(posts)),
        ("shuffled, every size", moderator.label, shuffled, len(posts)),
        ("beside hostile posts", moderator.label, beside_hostile, HOSTILE_POSTS),
        ("through the cache", through_cache(moderator), shuffled, len(posts)),
    )
    for name, label, way, most in ways:
        found = compare(label, posts[:most], reference[:most], way)
        good &= not found.changed_labels and not found.changed_digits and found.largest <= TOLERANCE
        say(
            f"{precision}  {name:<22}{len(posts[:most]):>6} posts"
            f" {found.changed_labels:>8} labels {found.changed_digits:>8} digits"
            f"   largest difference {found.largest:.1e}"
        )
    return good


def check_batch_context(moderator: Moderator, posts: Sequence[Post], say: Callable[[str], None]) -> bool:
    """Print how the paper's protocol does; return whether it fails, as it must."""
    label = in_batch_context(moderator)
    with torch.inference_mode():
        found = compare(label, posts, reference_labels(label, posts), shuffled)
    say(
        f"batch context, as published: shuffled   {found.changed_labels:>6} labels {found.changed_digits:>8} digits"
        f"   largest difference {found.largest:.1e}"
    )
    return found.changed_digits > 0


def main() -> None:
    """Run every check; exit 1 if a label depends on its company, or if the check cannot tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=1000)
    parser.add_argument("--checkpoint", default=None)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"])
    args = parser.parse_args()
    posts = make_posts(args.posts)
    device: DeviceName = args.device
    good = True
    print(f"{len(posts)} posts, {sum(bool(post.pictures) for post in posts)} with a picture", flush=True)
    for name in args.precisions:
        precision: Precision = name
        moderator = Moderator.from_checkpoint(args.checkpoint, device=device, precision=precision)
        good &= check(moderator, posts, lambda line: print(line, flush=True))
    moderator = Moderator.from_checkpoint(args.checkpoint, device=device)
    good &= check_batch_context(moderator, posts[: min(len(posts), 1000)], lambda line: print(line, flush=True))
    print("independent" if good else "NOT INDEPENDENT")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
