"""Settings of the process: its pages, its logs, the local stack."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from worker.secrets import from_file
from worker.settings.group import Group, Seconds, long_secret


class HttpSettings(Group):
    """The worker's own pages."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(8080, description="port to listen on")
    max_loop_lag_seconds: Seconds = Field(5.0, description="event-loop lag above which /livez fails")
    token: SecretStr | None = Field(
        None,
        description="at least 16 characters that `Authorization: Bearer` must say to see /metrics, and more of /livez "
        "and /readyz than whether the worker is well; unset: whoever reaches the pages sees all of them",
    )
    token_file: Path | None = Field(None, description="file that holds the token")

    @model_validator(mode="before")
    @classmethod
    def _token_from_file(cls, values: Any) -> Any:
        return from_file(values, "token", "token_file")

    @field_validator("token")
    @classmethod
    def _long_enough(cls, token: SecretStr | None) -> SecretStr | None:
        return long_secret(token, "token")


class LogSettings(Group):
    """Logs."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severe line that is shown")
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: console on a terminal, JSON otherwise"
    )


class StackSettings(Group):
    """The local Kafka and Redis."""

    folder: Path = Field(Path(".stack"), description="data, logs and process ids of the local stack")
