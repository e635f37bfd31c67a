"""Settings of the process: its pages, its logs, the local stack."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from worker.settings.group import Group, Seconds


class HttpSettings(Group):
    """The worker's own pages."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(8080, description="port to listen on")
    max_loop_lag_seconds: Seconds = Field(5.0, description="event-loop lag above which /livez fails")


class LogSettings(Group):
    """Logs."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severe line that is shown")
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: console on a terminal, JSON otherwise"
    )


class StackSettings(Group):
    """The local Kafka and Redis."""

    folder: Path = Field(Path(".stack"), description="data, logs and process ids of the local stack")
