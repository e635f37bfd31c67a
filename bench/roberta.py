"""How much faster the shipped checkpoint, or another, labels texts than a RoBERTa-base classifier, in turns of one run.

Both get the same texts of one length in tokens, the same precision and the same threads. The checkpoint does all of
its work, from text to calibrated labels of five tasks, in its own fixed rows; RoBERTa-base gets its token ids ready
made, one task, random weights, and whichever of several batch sizes suits it best.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import RobertaConfig
from transformers import RobertaForSequenceClassification as Untyped

from bench.encoders import DTYPES, texts
from mmorient import Moderator, Post

BATCHES = (4, 16, 64)


def seconds(call: Callable[[], object]) -> float:
    """Time one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


@torch.inference_mode()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=128)
    parser.add_argument("--words", type=int, default=30, help="of a text; 30 are 32 tokens")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--checkpoint", type=Path, action="append", default=[], help="beside the shipped one")
    args = parser.parse_args()
    shipped, *others = (
        Moderator.from_checkpoint(folder, precision=args.precision) for folder in (None, *args.checkpoint)
    )
    posts = [Post(text, ()) for text in texts(args.texts, args.words)]
    config = RobertaConfig(vocab_size=50_265, max_position_embeddings=514, type_vocab_size=1)
    classifier: Any = Untyped
    roberta = classifier(config).to(DTYPES[args.precision]).eval()
    ids = torch.randint(5, 50_000, (args.texts, args.words + 2))

    def batches(rows: int) -> Callable[[], object]:
        return lambda: [roberta(ids[start : start + rows]).logits for start in range(0, len(ids), rows)]

    calls: dict[str, Callable[[], object]] = {"compact": lambda: shipped.label(posts)}
    calls |= {other.identity.name: partial(other.label, posts) for other in others}
    calls |= {f"RoBERTa-base by {rows}": batches(rows) for rows in BATCHES}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(args.repeat + 1):
        for name, call in calls.items():
            taken = seconds(call)
            if turn:
                times[name].append(taken)
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{args.texts} texts of {args.words + 2} tokens, {args.precision}, {torch.get_num_threads()} threads")
    for name, median in medians.items():
        ratio = median / medians["compact"]
        print(f"{name:20} {args.texts / median:8.1f} texts/s   compact is {ratio:5.2f} times as fast")


if __name__ == "__main__":
    main()
