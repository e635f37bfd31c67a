"""Settings of what looks at labelled posts: the shadow, drift, traces."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from worker.settings.group import Count, Group, Seconds


class ShadowSettings(Group):
    """A second checkpoint that labels a share of the live posts, onto topics of its own."""

    checkpoint: Path | None = Field(
        None,
        description="folder of a second checkpoint, which labels a share of the live posts; unset: none",
        json_schema_extra={"option": "--shadow"},
    )
    share: Annotated[float, Field(ge=0, le=1)] = Field(0.1, description="share of the posts, chosen by their ids")
    suffix: str = Field(
        ".shadow", pattern=r"^[a-zA-Z0-9._-]+$", description="what the shadow's topics have behind the live one's name"
    )
    max_waiting_posts: Count = Field(256, description="posts that wait for the shadow; more are passed over")
    max_waiting_bytes: Count = Field(32 * 1024 * 1024, description="bytes of these posts")
    max_lag_seconds: Seconds = Field(
        5.0, description="age of a post above which the live path counts as behind, and the shadow passes over it"
    )
    device_share: Annotated[float, Field(gt=0, le=1)] = Field(
        0.25, description="of a GPU's time and memory; a CPU is the shadow's when nobody else wants it"
    )


class TraceSettings(Group):
    """Traces of posts, to an OpenTelemetry collector."""

    endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^/]+",
        description="OTLP over HTTP, such as http://collector:4318; unset: no traces",
    )
    share: Annotated[float, Field(ge=0, le=1)] = Field(
        1.0, description="share of the posts, by trace id; what the producer did not sample is never traced"
    )


class DriftSettings(Group):
    """What the model says, held against what it used to say."""

    reference: Path | None = Field(
        None, description="labels to compare with, from `mmorient reference`; unset: the checkpoint's own"
    )
    window_posts: Annotated[int, Field(ge=1000)] = Field(8192, description="how many of the last posts are compared")
