"""Kinds of hostile, harmless, ironic and sincere sentences that nothing is trained on: how many are called right.

Functional tests in the manner of HateCheck (Röttger et al., ACL 2021) and HatemojiCheck (Kirk et al., NAACL 2022): a
third of the sentences of ``data/functional.toml``. The same hand wrote those that are trained on, so the shares are
above what sentences by others get.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mmorient.input.posts import Post
from mmorient.training.data.contrast import held_out
from mmorient.training.judging.fairness import Labeller

_CHUNK = 256


@dataclass(frozen=True, slots=True)
class FunctionalScore:
    """Sentences of one kind.

    Attributes:
        task: ``offensiveness`` or ``sarcasm``.
        label: What they are, and what each should be called.
        right: Share that is called so, in percent.
        probability: Mean probability of that label, in percent.
    """

    kind: str
    task: str
    label: str
    posts: int
    right: float
    probability: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure_functional(moderator: Labeller) -> list[FunctionalScore]:
    """Label the held-out sentences as texts without pictures.

    Returns:
        Kind by kind, in the order of the file; twice where a kind says both offensiveness and sarcasm.
    """
    kinds = held_out()
    texts = [text for kind in kinds for text in kind.texts]
    answers = iter(
        [
            labels.tasks
            for start in range(0, len(texts), _CHUNK)
            for labels in moderator.label([Post(text, ()) for text in texts[start : start + _CHUNK]])
        ]
    )
    scores = []
    for kind in kinds:
        said = [next(answers) for _ in kind.texts]
        for task, label in kind.labels.items():
            right = sum(tasks[task].label == label for tasks in said) / len(said)
            probability = sum(tasks[task].probabilities[label] for tasks in said) / len(said)
            scores.append(
                FunctionalScore(kind.kind, task, label, len(said), round(100 * right, 2), round(100 * probability, 2))
            )
    return scores
