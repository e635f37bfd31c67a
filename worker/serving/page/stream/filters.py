"""Which posts a viewer wants to see."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from mmorient import TASKS
from worker.serving.page.stream.joining import LabelledPost

MODALITIES = {"text": ("text",), "image": ("image",), "both": ("text", "image")}
_MAX_COMMUNITY = 256


@dataclass(frozen=True)
class Filter:
    """What a post must be to be shown; empty fields ask for nothing.

    Args:
        task: that has a label.
        label: which one.
        at_least: its probability; without a label, that of the task's own label; without a task, of any.
        community: where the post was written, whole, in any case.
        modality: a key of `MODALITIES`.
    """

    task: str = ""
    label: str = ""
    at_least: float = 0.0
    community: str = ""
    modality: str = ""

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> Self:
        """Read a filter as a form has it; what cannot be read asks for nothing."""
        task, _, label = fields.get("label", "").partition(":")
        known = TASKS.get(task)
        try:
            at_least = min(1.0, max(0.0, float(fields.get("at_least") or 0)))
        except ValueError:
            at_least = 0.0
        modality = fields.get("modality", "")
        return cls(
            task=task if known else "",
            label=label if known and label in known.classes else "",
            at_least=at_least if at_least == at_least else 0.0,  # noqa: PLR0124 - it may be no number
            community=fields.get("community", "")[:_MAX_COMMUNITY].strip(),
            modality=modality if modality in MODALITIES else "",
        )

    def matches(self, post: LabelledPost) -> bool:
        """Whether a post is to be shown."""
        if self.community and post.community.casefold() != self.community.casefold():
            return False
        if self.modality and sorted(post.modalities) != sorted(MODALITIES[self.modality]):
            return False
        return self._says(post)

    def _says(self, post: LabelledPost) -> bool:
        if not self.task:
            return not self.at_least or any(
                one["probabilities"][one["label"]] >= self.at_least for one in post.answers.values()
            )
        answer = post.answers.get(self.task)
        if answer is None or (self.label and answer["label"] != self.label):
            return False
        share: float = answer["probabilities"][answer["label"]]
        return share >= self.at_least
