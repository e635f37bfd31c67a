"""What fp32, bf16 and int8 cost and change on this processor: `python -m bench.precision DATA`.

DATA holds the sets that `mmorient evaluate` reads. Posts of their validation and training splits, validation first,
are embedded and labelled in each precision, by turns, a part at a time: texts and pictures a second, labels that are
not fp32's, the largest difference of a published probability, and macro-F1 on the posts of the validation splits.
int8 is that of `bench/int8.py`.
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.int8 import int8_checkpoint
from bench.peers.showing import machine
from bench.precision_tables import PUBLISHED, show
from mmorient import Moderator, Post, PostEmbeddings, PostLabels
from mmorient.checkpointing.loading import load_checkpoint
from mmorient.digest import SHIPPED
from mmorient.labels import TASKS
from mmorient.training.data.examples import VAL, Example
from mmorient.training.data.readers import read_all
from mmorient.training.judging.evaluating import post_of
from mmorient.training.judging.metrics import macro_f1

REFERENCE = "fp32"
_PART = 128
_PICTURE_SHARE = 0.15


def moderators() -> dict[str, Moderator]:
    """Return the shipped checkpoint in each precision."""
    return {
        "fp32": Moderator.from_checkpoint(),
        "bf16": Moderator.from_checkpoint(precision="bf16"),
        "int8": Moderator(int8_checkpoint(load_checkpoint(SHIPPED)), device=torch.device("cpu")),
    }


@dataclass
class Found:
    """What a precision gave.

    Args:
        labels: of the posts, in their order.
        seconds, processor: by `texts` and `pictures`, of each part: the clock's, and of all threads' processors.
    """

    labels: list[PostLabels] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"texts": [], "pictures": []})
    processor: dict[str, float] = field(default_factory=lambda: {"texts": 0.0, "pictures": 0.0})

    def timed(self, what: str, work: Callable[[], Any]) -> Any:
        """Do work, note how long it took, and return what it gave."""
        began, used = time.perf_counter(), time.process_time()
        result = work()
        self.seconds[what].append(time.perf_counter() - began)
        self.processor[what] += time.process_time() - used
        return result


def choose(examples: Sequence[Example], count: int, seed: int = 0) -> list[Example]:
    """Return so many examples in a language of the checkpoint, those of validation splits first.

    So many of them have a picture that pictures are a seventh of all, or as many as there are.
    """
    chance = random.Random(seed)  # noqa: S311
    readable = [one for one in examples if one.text and (not one.source.startswith("umsab") or one.source[-2:] == "en")]
    chance.shuffle(readable)
    readable.sort(key=lambda one: one.split != VAL)
    pictured = [one for one in readable if one.picture is not None][: round(_PICTURE_SHARE * count)]
    plain = [one for one in readable if one.picture is None][: count - len(pictured)]
    chosen = [*pictured, *plain]
    chance.shuffle(chosen)
    return chosen


def label_all(models: Mapping[str, Moderator], posts: Iterator[list[Post]]) -> dict[str, Found]:
    """Label parts of posts by turns."""
    found = {name: Found() for name in models}
    for number, part in enumerate(posts):
        texts = [post.text for post in part if post.text is not None]
        pictures = [picture for post in part for picture in post.pictures]
        for name in list(models)[:: 1 if number % 2 else -1]:
            model, own = models[name], found[name]
            read = iter(own.timed("texts", partial(model.embed_texts, texts)))
            seen = iter(own.timed("pictures", partial(model.embed_pictures, pictures)) if pictures else [])
            own.labels += model.classify(
                [
                    PostEmbeddings(None if post.text is None else next(read), tuple(next(seen) for _ in post.pictures))
                    for post in part
                ]
            )
        print(f"{(number + 1) * _PART} posts", file=sys.stderr, flush=True)
    return found


def differences(ours: Sequence[PostLabels], reference: Sequence[PostLabels], tasks: Sequence[str]) -> dict[str, float]:
    """Return which share of posts has another label, and how far published probabilities are apart.

    Args:
        ours: of one precision.
        reference: of fp32.
        tasks: that are compared.
    """
    flips, most = 0, []
    for one, other in zip(ours, reference, strict=True):
        pairs = [(one.tasks[task], other.tasks[task]) for task in tasks]
        flips += any(mine.label != theirs.label for mine, theirs in pairs)
        most.append(
            max(abs(mine.probabilities[name] - share) for mine, theirs in pairs for name, share in
                theirs.probabilities.items())
        )  # fmt: skip
    return {"flipped": flips / len(most), "largest": max(most), "mean": statistics.fmean(most)}


def scores(examples: Sequence[Example], labels: Sequence[PostLabels]) -> dict[str, float]:
    """Return macro-F1 of each published task in percent, over the validation posts of which its truth is known."""
    found = {}
    for task in PUBLISHED:
        pairs = [
            (one.targets[task], TASKS[task].classes.index(given.tasks[task].label))
            for one, given in zip(examples, labels, strict=True)
            if one.split == VAL and task in one.targets
        ]
        if pairs:
            truth, answer = (np.array(column) for column in zip(*pairs, strict=True))
            found[task] = 100 * macro_f1(truth, answer, len(TASKS[task].classes))
    return found


def figures(found: Mapping[str, Found], examples: Sequence[Example], posts: Sequence[int]) -> dict[str, Any]:
    """Return the figures of each precision.

    Args:
        found: of each.
        examples: that were labelled.
        posts: how many texts, and how many pictures they have.
    """
    reference = found[REFERENCE]
    rows = {}
    for name, one in found.items():
        row: dict[str, Any] = {}
        for what, count in zip(("texts", "pictures"), posts, strict=True):
            if one.seconds[what]:
                ratios = [a / b for a, b in zip(reference.seconds[what], one.seconds[what], strict=True)]
                row[what] = {
                    "a_second": count / sum(one.seconds[what]),
                    "processor_us": 1e6 * one.processor[what] / count,
                    "times_fp32": statistics.median(ratios),
                    "times_fp32_by_processor": reference.processor[what] / one.processor[what],
                }
        row["published"] = differences(one.labels, reference.labels, PUBLISHED)
        row["all"] = differences(one.labels, reference.labels, list(TASKS))
        row["macro_f1"] = scores(examples, one.labels)
        rows[name] = row
    return rows


def main() -> None:
    """Label, compare, show, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--posts", type=int, default=10_000)
    parser.add_argument("--json", type=Path, help="write it here too; no text of a post is in it")
    args = parser.parse_args()
    examples = choose(read_all(args.data), args.posts)
    models = moderators()
    proved = {name: model.prove() for name, model in models.items()}
    frame = models[REFERENCE].picture_frame
    posts = [post_of(one, "text+image", frame) for one in examples]
    for model in models.values():
        model.label(posts[:16])
    parts = (posts[start : start + _PART] for start in range(0, len(posts), _PART))
    found = label_all(models, parts)
    counts = (sum(post.text is not None for post in posts), sum(len(post.pictures) for post in posts))
    data: dict[str, Any] = {"machine": machine(), "date": datetime.now(UTC).date().isoformat()}
    data |= {
        "kind": torch.backends.cpu.get_cpu_capability(),
        "posts": len(posts),
        "pictures": counts[1],
        "validation": sum(one.split == VAL for one in examples),
        "dependence_on_neighbours": proved,
        "precisions": figures(found, examples, counts),
    }
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(show(data))


if __name__ == "__main__":
    main()
