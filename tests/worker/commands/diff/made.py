"""Labels of two made-up models of known difference, and what plain pandas says of it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

CLASSES = {
    "sentiment": ["negative", "neutral", "positive"],
    "sarcasm": ["not_sarcastic", "sarcastic"],
    "humour": ["not_humorous", "humorous"],
}
DEGREES = ["not_sarcastic", "general", "twisted_meaning", "very_twisted"]
COMMUNITIES = ["gaming", "gardening", "news", "tiny", None]


@dataclass
class Made:
    """What the models said, as lines of `mmorient label`, and the posts.

    The left has humour, the right has none; posts divisible by 50 are on the left alone, those that leave 1 on the
    right; those that leave 2 stand twice on the left, of which the last counts.
    """

    left: list[dict[str, Any]] = field(default_factory=list)
    right: list[dict[str, Any]] = field(default_factory=list)
    posts: list[dict[str, Any]] = field(default_factory=list)
    truth: list[dict[str, Any]] = field(default_factory=list)

    def frame(self, task: str) -> "pd.DataFrame":
        """Return a row a joined post: both labels, both sets of probabilities, and what it is sliced by."""
        import pandas as pd  # A second, which every process would take that collects a test of this folder.

        sides = []
        for side in (self.left, self.right):
            last = {row["id"]: row for row in side}
            rows = [
                {"id": key, "label": row["labels"][task]["label"], "modality": "+".join(reversed(row["modalities"]))}
                | {f"p {name}": share for name, share in row["labels"][task]["probabilities"].items()}
                for key, row in last.items()
                if task in row["labels"]
            ]
            sides.append(pd.DataFrame(rows))
        joined = sides[0].merge(sides[1], on="id", suffixes=(" left", " right"))
        posts = pd.DataFrame(self.posts)
        posts["characters"] = posts["text"].fillna("").str.len()
        edges = [-1, 0, 20, 80, 280, 10**9]
        names = ["no text", "1-20", "21-80", "81-280", "over 280"]
        posts["length"] = pd.cut(posts["characters"], edges, labels=names).astype(str)
        return joined.merge(posts, on="id", how="left")


def make(random: np.random.Generator, count: int) -> Made:
    """Return labels of `count` posts."""
    made = Made()
    for number in range(count):
        key = f"p-{number}"
        community = COMMUNITIES[3 if number % 40 == 7 else int(random.integers(0, 3)) if number % 9 else 4]
        text = "word " * int(random.choice([0, 3, 10, 40, 90]))
        made.posts.append(
            {"id": key, "text": text or None, "community": community, "language": str(random.choice(["en", "de"]))}
        )
        modalities = ["text"] if number % 3 else ["image", "text"]
        noise = 1.5 if community == "gaming" else 0.3
        old = {task: random.normal(0, 1.5, len(names)) for task, names in CLASSES.items()}
        new = {task: logits + random.normal(0, noise, len(logits)) for task, logits in old.items()}
        new["sarcasm"][1] += 0.5
        left = {"id": key, "labels": _labels(old, list(CLASSES)), "modalities": modalities}
        right = {"id": key, "labels": _labels(new, ["sentiment", "sarcasm"]), "modalities": modalities}
        if number % 50 == 2:
            other = {task: -logits for task, logits in old.items()}
            made.left.append(left | {"labels": _labels(other, list(CLASSES))})
        if number % 50 != 1:
            made.left.append(left)
        if number % 50 != 0:
            made.right.append(right)
        if number % 2:
            made.truth.append({"id": key, "sarcasm": str(random.choice(CLASSES["sarcasm"])), "sentiment": ""})
    random.shuffle(made.right)  # type: ignore[arg-type]
    return made


def _labels(logits: dict[str, Any], tasks: list[str]) -> dict[str, Any]:
    found = {}
    for task in tasks:
        shares = _shares(logits[task])
        names = CLASSES[task]
        intensity = None
        if task == "sarcasm":
            first, second = logits[task]
            degrees = _shares(np.array([first, second - 1, second - 1.2, second - 2]))
            intensity = {
                "label": DEGREES[int(np.argmax(degrees))],
                "probabilities": dict(zip(DEGREES, degrees, strict=True)),
            }
        found[task] = {
            "label": names[int(np.argmax(shares))],
            "probabilities": dict(zip(names, shares, strict=True)),
            "intensity": intensity,
        }
    return found


def _shares(logits: Any) -> list[float]:
    weights = np.exp(logits)
    return [round(float(share), 4) for share in weights / weights.sum()]
