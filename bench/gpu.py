"""The bare model on a device: `python -m bench.gpu`. It needs torch, pydantic, tokenizers and Pillow; no server.

For each precision, on CUDA with its tiles launched operation by operation and then recorded (CUDA graphs): texts,
pictures and cached posts a second through the encoders and the heads, the floating-point operations that this is a
second, their share of the device's peak where one is given, the share of the time in which the device computed, and
whether every embedding has the bits that it has alone. On a machine without a GPU it measures the CPU, so that the
command itself can be tried anywhere.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from mmorient import Moderator, Picture, PostEmbeddings, decode_picture, post_text

SAMPLES = Path(__file__).parent.parent / "samples"
PRECISIONS = ("fp32", "bf16", "fp16")
_TRIED = 8  # contents whose bits alone are compared with their bits in company


@dataclass(frozen=True)
class Load:
    """One thing to measure.

    Args:
        name: in the table.
        count: contents of a call.
        call: computes them.
        is_equal: whether each has the bits that it has alone.
    """

    name: str
    count: int
    call: Callable[[], object]
    is_equal: Callable[[], bool]


def sample_texts(count: int) -> list[str]:
    """Return distinct texts of tweets' length."""
    lines = [json.loads(line) for line in (SAMPLES / "posts.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = [line["text"] for line in lines if (line.get("text") or "").strip()]
    return [post_text(f"{texts[number % len(texts)]} {number}") or "" for number in range(count)]


def sample_pictures(moderator: Moderator, count: int) -> list[Picture]:
    """Return decoded pictures; those of the samples in turns, which takes a device no less than distinct ones."""
    files = sorted((SAMPLES / "pictures").glob("*.jpg"))
    decoded = [
        decode_picture(file.read_bytes(), frame=moderator.picture_frame, drawn_text=moderator.drawn_text)
        for file in files
    ]
    return [decoded[number % len(decoded)] for number in range(count)]


def loads(moderator: Moderator, count: int) -> list[Load]:
    """Return what is measured of a model, `count` contents a call."""
    texts, pictures = sample_texts(count), sample_pictures(moderator, count)
    text_embeddings, picture_embeddings = moderator.embed_texts(texts), moderator.embed_pictures(pictures)
    posts = [
        PostEmbeddings(text, (picture,)) for text, picture in zip(text_embeddings, picture_embeddings, strict=True)
    ]
    words_alone = [PostEmbeddings(text, ()) for text in text_embeddings]
    return [
        Load("texts", count, lambda: moderator.embed_texts(texts), lambda: _equal(moderator.embed_texts, texts)),
        Load(
            "pictures",
            count,
            lambda: moderator.embed_pictures(pictures),
            lambda: _equal(moderator.embed_pictures, pictures),
        ),
        Load(
            "cached texts",
            count,
            lambda: moderator.classify(words_alone),
            lambda: _same_labels(moderator, words_alone),
        ),
        Load("cached posts", count, lambda: moderator.classify(posts), lambda: _same_labels(moderator, posts)),
    ]


def _equal(embed: Callable[[Sequence], Sequence[np.ndarray]], contents: Sequence) -> bool:  # type: ignore[type-arg]
    together = embed(contents)[:_TRIED]
    alone = [embed([content])[0] for content in contents[:_TRIED]]
    return all(np.array_equal(one, other) for one, other in zip(together, alone, strict=True))


def _same_labels(moderator: Moderator, posts: Sequence[PostEmbeddings]) -> bool:
    return moderator.logits(posts)[:_TRIED] == [moderator.logits([post])[0] for post in posts[:_TRIED]]


def seconds_a_call(call: Callable[[], object], repeat: int) -> float:
    """Return the median of some calls; each ends with a copy to the CPU, so that its time is all of it."""
    call()
    taken = []
    for _ in range(repeat):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def operations(call: Callable[[], object]) -> int:
    """Return the floating-point operations of a call's products; 0 where they run in threads that are not counted."""
    counter = FlopCounterMode(display=False)
    with counter:
        call()
    return counter.get_total_flops()


def busy_share(call: Callable[[], object], seconds: float) -> float | None:
    """Return the share of a call's time in which a CUDA device computed; None on other devices."""
    if not torch.cuda.is_available():
        return None
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        call()
    microseconds = sum(event.self_device_time_total for event in profiled.key_averages())
    return float(microseconds) / 1e6 / seconds


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"])
    parser.add_argument("--checkpoint", help="folder; the shipped one without")
    parser.add_argument("--precisions", nargs="+", default=list(PRECISIONS), choices=PRECISIONS)
    parser.add_argument("--posts", type=int, default=1024, help="contents of a call")
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--peak", type=float, help="10^12 operations a second that the device is said to do")
    args = parser.parse_args()
    print(f"torch {torch.__version__}, {_device_name()}, {args.posts} contents a call, medians of {args.repeat}")
    print(
        f"{'precision':<11}{'graphs':<8}{'load':<14}{'a second':>10}{'ms a call':>11}{'TFLOP/s':>9}{'of peak':>9}"
        f"{'busy':>6}  same bits"
    )
    counts: dict[tuple[str, str], int] = {}
    # Without graphs first: what is replayed is not counted.
    graphs = [False, True] if torch.cuda.is_available() and args.device in {"auto", "cuda"} else [False]
    for precision, recorded in product(args.precisions, graphs):
        moderator = Moderator.from_checkpoint(
            args.checkpoint, device=args.device, precision=precision, cuda_graphs=recorded
        )
        for load in loads(moderator, args.posts):
            seconds = seconds_a_call(load.call, args.repeat)
            counted = operations(load.call) or counts.get((precision, load.name), 0)
            counts[precision, load.name] = counted
            rate = counted / seconds / 1e12
            busy = busy_share(load.call, seconds)
            print(
                f"{precision:<11}{'yes' if recorded else 'no':<8}{load.name:<14}{load.count / seconds:>10.0f}"
                f"{1000 * seconds:>11.2f}{f'{rate:.2f}' if rate else '-':>9}"
                f"{f'{rate / args.peak:.0%}' if rate and args.peak else '-':>9}"
                f"{'-' if busy is None else f'{busy:.0%}':>6}  {load.is_equal()}",
                flush=True,
            )


def _device_name() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    main()
