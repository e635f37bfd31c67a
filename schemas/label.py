"""Label: what the model says of a post. A function of the post, the checkpoint and the settings alone."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_WRITTEN = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)

# Characters: whatever a post brings, its label stays below what its topic takes.
MAX_COMMUNITY = 256
Probabilities = dict[str, float]
Modalities = tuple[Literal["text", "image"], ...]


# Why a medium was left out of a label.
UNAVAILABLE_REASONS = frozenset(
    {
        "bad_base64",
        "bad_medium",
        "bad_url",
        "corrupt",
        "decoder_failed",
        "fetch_failed",
        "fetch_timeout",
        "http_status",
        "not_a_picture",
        "not_listed",
        "too_many_bytes",
        "too_many_media",
        "too_many_pixels",
        "too_many_redirects",
        "truncated",
        "unsupported_format",
    }
)


def _is_absent(value: object) -> bool:
    return value is None


Threshold = Annotated[
    float | None,
    Field(
        exclude_if=_is_absent,
        gt=0,
        lt=1,
        description="an operator's own, where there is one: the label is the positive class from this probability on; "
        "without it the label is the most probable class",
    ),
]

Community = Annotated[
    str | None,
    Field(
        exclude_if=_is_absent,
        max_length=MAX_COMMUNITY,
        description="the post's, where it has one of at most this length: for consumers to filter by",
    ),
]
CreatedAt = Annotated[
    datetime | None,
    Field(exclude_if=_is_absent, description="the post's, in UTC, where it can be read: for consumers to filter by"),
]


class Intensity(BaseModel):
    """How strongly: one of four steps, probabilities calibrated and rounded to four decimals."""

    model_config = _WRITTEN

    label: str
    probabilities: Probabilities


class TaskLabel(BaseModel):
    """The answer of one task."""

    model_config = _WRITTEN

    label: str
    probabilities: Probabilities = Field(description="calibrated, four decimals, summing to 1 within rounding")
    threshold: Threshold = None
    intensity: Intensity | None = Field(default=None, description="null for tasks without intensities")


class Unavailable(BaseModel):
    """A medium that could not be used; the rest of the post was labelled all the same."""

    model_config = _WRITTEN

    index: int = Field(ge=0, description="position in the post's media")
    reason: str = Field(description="reason code, such as http_status or not_a_picture")
    count: int | None = Field(
        default=None,
        ge=1,
        exclude_if=_is_absent,
        description="how many media this entry stands for; with reason not_listed, the last entry of many",
    )


class Reading(BaseModel):
    """How much of a post's text was read."""

    model_config = _WRITTEN

    language: str | None = Field(description="of the text, ISO 639-1; null where it cannot be told")
    supported: bool = Field(
        description="whether the checkpoint was made for that language; true where either is not known"
    )
    unread: float = Field(
        ge=0, le=1, description="share of the text's characters that became unknown tokens or nothing"
    )
    truncated_text: bool = Field(description="whether a part of the text was left out because it is too long")


class ModelStamp(BaseModel):
    """Which model said it, and in which arithmetic."""

    model_config = _WRITTEN

    name: str
    checkpoint: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    graph_context: Literal["bank", "self"]
    precision: Literal["fp32", "bf16", "fp16"]
    arithmetic: str | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        pattern=r"^(inexact-)?[a-z0-9]+-[0-9a-f]+$",
        description="kind of processor, and a digest of the bits that sample posts have there; where checkpoint and "
        "arithmetic are equal, labels are, byte for byte. `inexact-` in front: the worker failed the proof of that, "
        "and was allowed to run",
    )


class Source(BaseModel):
    """Where the post stands in Kafka."""

    model_config = _WRITTEN

    topic: str
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)


class PlacelessLabel(BaseModel):
    """One task's label of one post, wherever the post came from."""

    model_config = _WRITTEN

    post_id: str
    task: str
    label: str
    probabilities: Probabilities
    threshold: Threshold = None
    intensity: Intensity | None = None
    modalities: Modalities
    unavailable: tuple[Unavailable, ...] = Field(default=(), description="of many media the first 32")
    reading: Reading | None = Field(default=None, exclude_if=_is_absent, description="where there is a text")
    community: Community = None
    created_at: CreatedAt = None
    model: ModelStamp


class Label(PlacelessLabel):
    """One task's label of one post: the value of a record on `labels.TASK`."""

    source: Source
    schema_: Literal["label/1"] = Field(default="label/1", alias="schema")


class LabelSet(BaseModel):
    """Several tasks' labels of one post: the value of a record where tasks share a topic."""

    model_config = _WRITTEN

    post_id: str
    labels: dict[str, TaskLabel]
    modalities: Modalities
    unavailable: tuple[Unavailable, ...] = Field(default=(), description="of many media the first 32")
    reading: Reading | None = Field(default=None, exclude_if=_is_absent, description="where there is a text")
    community: Community = None
    created_at: CreatedAt = None
    model: ModelStamp
    source: Source
    schema_: Literal["label-set/1"] = Field(default="label-set/1", alias="schema")
