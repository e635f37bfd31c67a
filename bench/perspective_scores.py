"""How the scores of `comments:analyze` are distributed: `python -m bench.perspective_scores DATASETS`.

Validation parts of public sets, in their own layouts: a threshold that was chosen for another service's scores is not
one for these. Prints shares and quantiles, and no row of any set.
"""

import argparse
import csv
import statistics
from collections.abc import Iterator
from pathlib import Path

from mmorient import Moderator, Post, post_text
from worker.serving.perspective import ATTRIBUTES

_THRESHOLDS = (0.5, 0.7, 0.9, 0.95)
_BATCH = 256
_TWEETS = (
    # Set, attribute, which of its labels count as the attribute's class, and which as the other.
    ("offensive", "OFFENSIVENESS", {"1"}, {"0"}),
    ("hate", "OFFENSIVENESS", {"1"}, {"0"}),
    ("irony", "SARCASM", {"1"}, {"0"}),
    ("sentiment", "SENTIMENT_NEGATIVE", {"0"}, {"1", "2"}),
)


def sets(folder: Path) -> Iterator[tuple[str, str, list[str], list[str]]]:
    """Yield name, attribute, texts of its class and texts of the other."""
    for name, attribute, of, other in _TWEETS:
        part = folder / "tweeteval" / "datasets" / name
        texts = (part / "val_text.txt").read_text(encoding="utf-8").splitlines()
        labels = (part / "val_labels.txt").read_text(encoding="utf-8").split()
        pairs = list(zip(texts, labels, strict=True))
        yield (
            f"TweetEval {name}",
            attribute,
            [text for text, label in pairs if label in of],
            [text for text, label in pairs if label in other],
        )
    with (folder / "hatemoji" / "val.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    hateful = [row["text"] for row in rows if row["hateful"] == "1"]
    yield "HatemojiBuild", "OFFENSIVENESS", hateful, [row["text"] for row in rows if row["hateful"] == "0"]


def scores(moderator: Moderator, attribute: str, texts: list[str]) -> list[float]:
    """Return the attribute's score of each text in which anything can be read."""
    task, positive = ATTRIBUTES[attribute]
    posts = [Post(text=text) for one in texts if (text := post_text(one)) is not None]
    return [
        labels.tasks[task].probabilities[positive]
        for start in range(0, len(posts), _BATCH)
        for labels in moderator.label(posts[start : start + _BATCH])
    ]


def main() -> None:
    """Label the sets and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", type=Path)
    parser.add_argument("--checkpoint", type=Path)
    args = parser.parse_args()
    moderator = Moderator.from_checkpoint(args.checkpoint)
    print(f"| set | attribute | of which | texts | median (tenth, nine tenths) | {_head()} |")
    print("|---|---|---|---:|---|" + "---:|" * len(_THRESHOLDS))
    for name, attribute, own, other in sets(args.datasets):
        for whose, texts in (("are so", own), ("are not", other)):
            found = scores(moderator, attribute, texts)
            tenths = statistics.quantiles(found, n=10)
            shares = " | ".join(f"{sum(one >= least for one in found) / len(found):.0%}" for least in _THRESHOLDS)
            spread = f"{statistics.median(found):.2f} ({tenths[0]:.2f}, {tenths[-1]:.2f})"
            print(f"| {name} | `{attribute}` | {whose} | {len(found)} | {spread} | {shares} |", flush=True)


def _head() -> str:
    return " | ".join(f"≥ {least}" for least in _THRESHOLDS)


if __name__ == "__main__":
    main()
