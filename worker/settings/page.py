"""Settings of the page of `moderate serve`."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from worker.settings.group import Count, Group


class PageSettings(Group):
    """The page at `/` of `moderate serve`."""

    enabled: bool = Field(default=True, description="whether there is a page beside the API")
    stream: bool = Field(default=True, description="whether it shows the stream, where a Kafka is set")
    posts_per_second: Annotated[int, Field(ge=1, le=10)] = Field(
        2, description="posts that a viewer of the stream is shown each second, drawn by chance from those that match"
    )
    max_viewers: Count = Field(32, description="browsers that may see the stream at once")
    user_header: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9-]+$",
        description="header by which a proxy says who somebody is, such as X-Forwarded-User; only where nobody reaches "
        "the page but through that proxy, and it takes the header from what comes from outside",
    )
    verdict_users: list[str] = Field(
        default=[],
        description="names of those who may say whether a label is right, as JSON; of API keys, or as the proxy says "
        "them; empty: nobody",
    )
    verdicts_topic: str = Field("moderate.verdicts", min_length=1, description="topic that verdicts are written to")

    @model_validator(mode="after")
    def _shown(self) -> Self:
        if self.verdict_users and not (self.enabled and self.stream):
            raise ValueError("verdict_users needs enabled and stream: verdicts are given where the stream is shown")
        return self
