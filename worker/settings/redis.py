"""Settings of the cache."""

from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from worker.secrets import check_redis_address, from_file, text_of, with_log_in
from worker.settings.group import Count, Group, Seconds, long_secret


class RedisSettings(Group):
    """The cache of embeddings."""

    url: str | None = Field(None, description="redis://host:port/db; unset: the local stack; empty: no cache")
    username: str | None = Field(None, description="of the log-in, in the place of what the URL says")
    password: SecretStr | None = Field(None, description="of the log-in, in the place of what the URL says")
    password_file: Path | None = Field(None, description="file that holds the password")
    secret: SecretStr | None = Field(
        None,
        description="at least 16 characters that entries are sealed with, the same for all workers of a Redis; "
        "unset: whoever writes to that Redis may choose labels",
    )
    secret_before: SecretStr | None = Field(
        None, description="the secret before this one, with which entries are still read"
    )
    ttl_seconds: Count = Field(7 * 24 * 3600, description="life of a cached embedding")
    timeout_seconds: Seconds = Field(0.25, description="longest wait for Redis before going on without it")
    slow_seconds: Seconds = Field(0.1, description="average look-up time above which Redis is not asked for a while")
    retry_after_seconds: Seconds = Field(5.0, description="pause after a failure in which Redis is not asked")

    @model_validator(mode="before")
    @classmethod
    def _password_from_file(cls, values: Any) -> Any:
        return from_file(values, "password", "password_file")

    @field_validator("url")
    @classmethod
    def _an_address(cls, url: str | None) -> str | None:
        if url:
            check_redis_address(url)
        return url

    @field_validator("secret", "secret_before")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        return long_secret(secret, "secret")

    @model_validator(mode="after")
    def _one_before_another(self) -> Self:
        if self.secret_before is not None and self.secret is None:
            raise ValueError("secret_before needs secret: the one that entries are sealed with now")
        return self

    @property
    def address(self) -> str:
        """The URL with its log-in; "" for no cache."""
        return with_log_in(self.url, self.username, text_of(self.password)) if self.url else ""
