"""Post: what producers write and the worker reads. Unknown fields are ignored, known ones must have their type."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Medium(BaseModel):
    """One picture of a post, by address or inline."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    url: str | None = Field(default=None, min_length=1, description="http or https address of the picture")
    data: str | None = Field(default=None, min_length=1, description="the picture's bytes in base64")
    content_type: str | None = Field(default=None, description="what the producer takes it for; the content decides")
    ocr_text: str | None = Field(default=None, description="text drawn over the picture, where the producer knows it")

    @model_validator(mode="after")
    def _has_content(self) -> Self:
        if self.url is None and self.data is None:
            raise ValueError("a medium needs url or data")
        return self


class Post(BaseModel):
    """A post of the social network: text, pictures, or both."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    id: str = Field(min_length=1, max_length=512)
    created_at: datetime | None = None
    author_id: str | None = None
    community: str | None = None
    language: str | None = None
    text: str | None = None
    media: tuple[Medium, ...] | None = None

    @model_validator(mode="after")
    def _has_content(self) -> Self:
        if not self.has_text and not self.media:
            raise ValueError("a post needs text or media")
        return self

    @property
    def has_text(self) -> bool:
        """Whether there is text to read: blank text counts as none."""
        return self.text is not None and not self.text.isspace() and self.text != ""
