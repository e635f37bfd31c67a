"""Post: what producers write and the worker reads. Unknown fields are ignored.

`id` and content decide. What else stands in a field never costs the labels, so that most fields may hold anything; the
type that is meant comes first. How each is read: docs/reference/posts.md.
"""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

_ID_CHARS = 512

Id = Annotated[
    Annotated[str, Field(min_length=1, max_length=_ID_CHARS)] | int,
    WithJsonSchema({"type": ["string", "integer"], "minLength": 1, "maxLength": _ID_CHARS}),
]


class Medium(BaseModel):
    """One picture of a post, by address or inline."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    url: str | Any = Field(default=None, description="http or https address of the picture")
    data: str | Any = Field(default=None, description="the picture's bytes in base64, or a data URI")
    content_type: str | Any = Field(default=None, description="what the producer takes it for; the content decides")
    ocr_text: str | Any = Field(default=None, description="text drawn over the picture, where the producer knows it")
    alt_text: str | Any = Field(default=None, description="what the post's author says that the picture shows")


class Post(BaseModel):
    """A post of the social network: text, pictures, or both."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    id: Id = Field(description="a whole number stands for its digits")
    created_at: datetime | Any = Field(default=None, description="when the post was written")
    author_id: str | Any = Field(default=None, description="who wrote it")
    community: str | Any = Field(default=None, description="where it was written")
    language: str | Any = Field(default=None, description="ISO 639-1")
    text: str | int | float | list[str | int | float] | None = Field(
        default=None, description="a number stands for its digits, a list for its lines"
    )
    media: list[Medium | Any] | Any = Field(
        default=None, description="what cannot be understood is unavailable, and the rest is read"
    )

    @model_validator(mode="after")
    def _has_content(self) -> Self:
        parts = self.text if isinstance(self.text, list) else [self.text]
        if not any(str(part).strip() for part in parts if part is not None) and not self.media:
            raise ValueError("a post needs text or media")
        return self
