"""Settings of `moderate serve`."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from worker.settings.group import Count, Group, Seconds


class ServeSettings(Group):
    """The HTTP door, `moderate serve`."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(8090, description="port to listen on")
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^/?#@]+(/[^?#]*)?$",
        description="address under which clients reach it, where a proxy stands before it; Perspective's discovery "
        "document names it; unset: the one of each request",
    )
    keys_file: Path | None = Field(
        None,
        description="file of the API keys' digests, a line each, as `moderate serve --new-key NAME` writes it; read "
        "again when it changes; unset: whoever reaches the address may ask",
    )
    max_posts_per_second: Annotated[float, Field(gt=0)] | None = Field(
        None, description="posts a second of one key, or of all that have none; unset: no limit"
    )
    deadline_seconds: Seconds = Field(5.0, description="longest time of a request; later it is given up")
    max_waiting_posts: Count = Field(512, description="posts that are accepted and not answered")
    max_waiting_bytes: Count = Field(
        64 * 1024 * 1024, description="bytes of these posts; bodies that are being received may take as much again"
    )
    max_request_posts: Count = Field(100, description="posts of one request")
    max_body_bytes: Count = Field(16 * 1024 * 1024, description="bytes of one request's body")
    body_seconds: Seconds = Field(10.0, description="longest time in which a body must have come")
    max_explanations: Count = Field(
        8, description="explanations that are accepted and not answered; each costs as much as many posts"
    )
    max_connections: Count = Field(1024, description="connections at once")
    cors_origins: list[str] = Field(
        default=[], description="origins whose pages may ask from a browser, as JSON; empty: none"
    )
    toxicity: bool = Field(
        default=True, description="whether Perspective's TOXICITY is answered, with the probability of offensiveness"
    )
    drain_seconds: Seconds = Field(10.0, description="longest wait for what is accepted when stopping")

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if not re.fullmatch(r"https?://[^/?#@]+", origin):
                raise ValueError(f"{origin!r} is not an origin: it is written https://host or https://host:port")
        return origins

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max_request_posts > self.max_waiting_posts:
            raise ValueError("max_request_posts must be at most max_waiting_posts")
        if self.max_body_bytes > self.max_waiting_bytes:
            raise ValueError("max_body_bytes must be at most max_waiting_bytes")
        return self
