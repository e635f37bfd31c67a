"""All settings, read once at the edge: from options, the environment (`MODERATE_…`) and `.env`, in that order."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.errors import SettingsError
from worker.secrets import is_secret
from worker.settings.kafka import DECISIONS_TOPIC, KafkaSettings
from worker.settings.labelling import BatchSettings, GuardSettings, ThresholdSettings
from worker.settings.media import MediaSettings
from worker.settings.observing import DriftSettings, ShadowSettings, TraceSettings
from worker.settings.page import PageSettings
from worker.settings.process import HttpSettings, LogSettings, StackSettings
from worker.settings.redis import RedisSettings
from worker.settings.serving import ServeSettings
from worker.variables import PREFIX, nearest, variables_of


class Settings(BaseSettings):
    """Everything that an operator may set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_file=".env", extra="ignore", frozen=True
    )

    checkpoint: Path | None = Field(None, description="folder of the checkpoint; unset: the one shipped")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where torch runs")
    processes: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="workers on this machine, which may share its device; the pages of each are a port higher"
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="arithmetic of the encoders; stamped on every label"
    )
    compiled: bool = Field(
        default=False,
        description="encoders through torch.compile: changes digits within rounding, needs a C++ compiler",
    )
    cuda_graphs: bool = Field(
        default=True,
        description="on CUDA, each tile of `compact` is launched as one: the same digits, less work for the processor",
    )
    allow_inexact: bool = Field(
        default=False,
        description="run even where labels are found to depend on more than their posts; stamped on every label",
    )
    graph_context: Literal["bank", "self"] = Field(
        "bank", description="the posts that a post is compared with; stamped on every label"
    )
    policies: Path | None = Field(
        None, description="folder of *.toml whose rules make labels into decisions; unset: none, or those published"
    )
    thresholds: ThresholdSettings = ThresholdSettings()
    kafka: KafkaSettings = KafkaSettings()
    redis: RedisSettings = RedisSettings()
    media: MediaSettings = MediaSettings()
    batch: BatchSettings = BatchSettings()
    guard: GuardSettings = GuardSettings()
    shadow: ShadowSettings = ShadowSettings()
    drift: DriftSettings = DriftSettings()
    trace: TraceSettings = TraceSettings()
    http: HttpSettings = HttpSettings()
    serve: ServeSettings = ServeSettings()
    page: PageSettings = PageSettings()
    log: LogSettings = LogSettings()
    stack: StackSettings = StackSettings()


def load_settings(options: dict[str, Any] | None = None) -> Settings:
    """Read the settings; `options` (nested by group) win over the environment.

    Raises:
        SettingsError: a value cannot be used; the message is one line that names the variable.
    """
    _refuse_no_text()
    try:
        return with_decisions(Settings(**(options or {})))
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + "__".join(str(part).upper() for part in first["loc"])
        if first["type"] == "extra_forbidden":
            # Its value is not shown: a setting of a later version may hold a secret.
            near = nearest(name, variables_of(Settings))
            hint = f"; did you mean {near}?" if near else ""
            raise SettingsError(f"{name}: this version knows no such setting{hint}") from error
        raise SettingsError(f"{name}: {_plain(first['msg'])}{_given(name, first['input'])}") from error
    except UnicodeError as error:
        raise SettingsError("a setting, or the file .env, holds bytes that are not text in UTF-8") from error
    except RecursionError as error:
        raise SettingsError("a setting holds JSON that is nested too deeply to be read") from error
    except Exception as error:  # pydantic-settings wraps broken JSON in its own error
        if type(error).__name__ != "SettingsError":
            raise
        raise SettingsError(str(error)) from error


def with_decisions(settings: Settings) -> Settings:
    """Return settings whose policies have a topic for their decisions.

    Raises:
        SettingsError: the topic is another one's.
    """
    if settings.policies is None or settings.kafka.decisions_topic is not None:
        return settings
    kafka = settings.kafka.model_copy(update={"decisions_topic": DECISIONS_TOPIC})
    try:
        KafkaSettings.model_validate(kafka)
    except ValidationError as error:
        said = _plain(error.errors()[0]["msg"])
        raise SettingsError(f"MODERATE_KAFKA__DECISIONS_TOPIC: {said} (unset: {DECISIONS_TOPIC})") from error
    return settings.model_copy(update={"kafka": kafka})


def in_the_open(settings: BaseModel) -> dict[str, Any]:
    """Return settings as JSON values, secrets included: for a process of our own, through a pipe."""
    found: dict[str, Any] = settings.model_dump(mode="json")
    for name, value in settings:
        if isinstance(value, BaseModel):
            found[name] = in_the_open(value)
        elif isinstance(value, SecretStr):
            found[name] = value.get_secret_value()
    return found


def _refuse_no_text() -> None:
    """Look for bytes that no server could be sent, such as a password in Latin-1, without showing them."""
    for name, value in os.environ.items():
        if name.upper().startswith(PREFIX):
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise SettingsError(f"{name}: holds bytes that are not text in UTF-8") from error


def _given(name: str, value: object) -> str:
    # A rule over a group gets the whole group, with its secrets.
    if isinstance(value, dict | BaseModel) or is_secret(name):
        return ""
    return f" (got {value!r})"


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")
