"""Settings: read once at the edge, from options, the environment (`MODERATE_…`) and `.env`, in that order.

Everything inside takes plain arguments. Names carry unit and limit.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from mmorient import TASKS
from worker.errors import SettingsError
from worker.hosts import HostList
from worker.secrets import check_redis_address, from_file, is_secret, text_of, with_log_in
from worker.variables import PREFIX, nearest, variables_of

POST_FIELDS = ("id", "text", "media", "created_at", "author_id", "community", "language")

Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]
Threshold = float | None

_LEAST_SECRET_CHARS = 16


def _long_secret(secret: SecretStr | None, what: str) -> SecretStr | None:
    if secret is not None and len(secret.get_secret_value()) < _LEAST_SECRET_CHARS:
        raise ValueError(f"a {what} has at least {_LEAST_SECRET_CHARS} characters")
    return secret


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(_Group):
    """The broker, the topics and the group."""

    bootstrap_servers: str | None = Field(None, description="host:port,…; unset: the local stack")
    group_id: str = Field(
        "moderate", min_length=1, description="consumer group, and the start of every transactional id"
    )
    group_instance_id: str | None = Field(None, description="static member name, such as the pod's")
    leave_on_stop: bool = Field(
        default=False,
        description="a static member that stops in order gives its name up, and its partitions to the others at once",
    )
    posts_topic: str = Field("posts", min_length=1, description="topic that posts are read from")
    dead_letter_topic: str = Field("posts.dead-letter", min_length=1, description="topic for what cannot be processed")
    routes: dict[str, str] = Field(
        default={task: f"labels.{task}" for task in ("sentiment", "sarcasm", "offensiveness")},
        description="task to topic, as JSON; tasks that share a topic share a record",
    )
    post_format: Literal[
        "auto", "post", "debezium", "connect", "cloudevents", "jetstream", "activitypub", "avro", "protobuf"
    ] = Field("auto", description="what posts come wrapped in; auto goes by what stands in each record")
    post_fields: dict[str, str] = Field(
        default={},
        description='field to JSON pointer, as JSON, where posts have other names: {"text": "/after/body"}',
    )
    registry_url: str | None = Field(
        None,
        pattern=r"^https?://[^/]+",
        description="Schema Registry of posts in Avro or Protobuf (extra registry), such as http://registry:8081",
    )
    registry_username: str | None = Field(None, description="of the Schema Registry's log-in")
    registry_password: SecretStr | None = Field(None, description="of the Schema Registry's log-in")
    registry_cafile: Path | None = Field(None, description="certificate authority of the Schema Registry, PEM")
    registry_timeout_seconds: Seconds = Field(5.0, description="longest time for one request to the Schema Registry")
    start_at: Literal["earliest", "latest"] = Field("earliest", description="where a group without offsets begins")
    session_timeout_seconds: Seconds = Field(10.0, description="silence after which the group gives a worker up")
    heartbeat_interval_seconds: Seconds = Field(3.0, description="pause between signs of life")
    max_poll_interval_seconds: Seconds = Field(300.0, description="longest time between two fetches")
    transaction_timeout_seconds: Seconds = Field(20.0, description="longest time one transaction may take")
    drain_seconds: Seconds = Field(
        5.0, description="longest wait for what is in flight when stopping or losing a partition"
    )
    records_gone: Literal["continue", "stop"] = Field(
        "continue",
        description="where retention was shorter than the lag: continue at the oldest record that is left, or stop",
    )
    forward_tombstones: bool = Field(
        default=False,
        description="whether a record without a value, which deletes its key's post, goes on to the label topics",
    )
    metadata_max_age_seconds: Seconds = Field(30.0, description="time after which added partitions are noticed")
    max_fetch_bytes: Count = Field(
        1024 * 1024, description="bytes a partition in one fetch; a larger record still passes"
    )
    max_request_bytes: Count = Field(
        16 * 1024 * 1024, description="largest produce request, as the broker's message.max.bytes"
    )
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        "lz4", description="of labels and dead letters"
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="transport"
    )
    ssl_cafile: Path | None = Field(None, description="certificate authority, PEM")
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field("PLAIN", description="of the log-in")
    sasl_username: str | None = Field(None, description="of the log-in")
    sasl_password: SecretStr | None = Field(None, description="of the log-in")
    sasl_password_file: Path | None = Field(None, description="file that holds the password of the log-in")

    @model_validator(mode="before")
    @classmethod
    def _password_from_file(cls, values: Any) -> Any:
        return from_file(values, "sasl_password", "sasl_password_file")

    @field_validator("routes")
    @classmethod
    def _known_tasks(cls, routes: dict[str, str]) -> dict[str, str]:
        unknown = sorted(set(routes) - set(TASKS))
        if unknown:
            raise ValueError(f"unknown task {unknown[0]!r}; tasks are {', '.join(TASKS)}")
        if not routes:
            raise ValueError("at least one task needs a topic")
        return routes

    @field_validator("post_fields")
    @classmethod
    def _known_fields(cls, fields: dict[str, str]) -> dict[str, str]:
        for field, pointer in fields.items():
            if field not in POST_FIELDS:
                raise ValueError(f"unknown field {field!r}; fields are {', '.join(POST_FIELDS)}")
            if not pointer.startswith("/"):
                raise ValueError(f"{pointer!r} is no JSON pointer: it begins with /")
        return fields

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.heartbeat_interval_seconds * 2 > self.session_timeout_seconds:
            raise ValueError("heartbeat_interval_seconds must be at most half of session_timeout_seconds")
        if {self.posts_topic, self.dead_letter_topic} & set(self.routes.values()):
            raise ValueError("labels may not go to the topic of the posts or of the dead letters")
        if self.post_format in {"avro", "protobuf"} and self.registry_url is None:
            raise ValueError(f"post_format {self.post_format} needs registry_url")
        return self

    @property
    def text_format(self) -> str:
        """What posts come wrapped in once they are no longer bytes: `post_format` without the registry's formats."""
        return "auto" if self.post_format in {"avro", "protobuf"} else self.post_format


class RedisSettings(_Group):
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
        return _long_secret(secret, "secret")

    @model_validator(mode="after")
    def _one_before_another(self) -> Self:
        if self.secret_before is not None and self.secret is None:
            raise ValueError("secret_before needs secret: the one that entries are sealed with now")
        return self

    @property
    def address(self) -> str:
        """The URL with its log-in; "" for no cache."""
        return with_log_in(self.url, self.username, text_of(self.password)) if self.url else ""


class MediaSettings(_Group):
    """Pictures: how many, how large, from where."""

    max_count: Count = Field(8, description="pictures used of one post")
    max_bytes: Count = Field(8 * 1024 * 1024, description="bytes of one picture")
    max_pixels: Count = Field(
        64_000_000,
        description="pixels held while one picture is decoded, four bytes each; a JPEG decodes at a fraction",
    )
    max_redirects: Annotated[int, Field(ge=0)] = Field(3, description="redirects followed")
    timeout_seconds: Seconds = Field(
        5.0, description="longest time for fetching one picture, retries and redirects included"
    )
    max_parallel: Count = Field(32, description="fetches at once")
    allowed_private_hosts: list[str] = Field(
        default=[],
        description="private hosts that may be fetched from, as JSON; host, host:port, *.domain or network; any port",
    )
    allowed_hosts: list[str] = Field(
        default=[],
        description="hosts that may be fetched from, as JSON; host, *.domain or network; empty: all public ones",
    )
    denied_hosts: list[str] = Field(
        default=[], description="hosts that are never fetched from, as JSON; host, *.domain or network"
    )
    allowed_ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field(
        default=[80, 443], description="ports that are fetched from, as JSON"
    )
    proxy: SecretStr | None = Field(
        None, description="http://user:password@host:port that all but private hosts are fetched through"
    )
    user_agent: str = Field(
        "moderate (mm-orient-moderation)", pattern=r"^[ -~]+$", description="what picture servers are told"
    )
    on_outage: Literal["label", "hold", "dead-letter"] = Field(
        "label",
        description="what is done with posts whose picture host used to work and is out: label them without it, hold "
        "them back, or make them dead letters",
    )
    hold_seconds: Seconds = Field(60.0, description="longest time that one outage of a picture host holds posts back")
    decode_threads: Count = Field(
        1,
        description="threads that decode pictures; in the sandbox, the least number of its children",
    )
    sandbox: bool = Field(
        default=True,
        description="decode pictures in child processes that may compute and nothing else; false: in the worker itself",
    )
    sandbox_memory_bytes: Count = Field(
        1024 * 1024 * 1024, description="memory that decoding one picture may take, above what a child has at start"
    )
    sandbox_seconds: Seconds = Field(10.0, description="time of the processor that decoding one picture may take")

    @field_validator("allowed_private_hosts", "allowed_hosts", "denied_hosts")
    @classmethod
    def _readable(cls, hosts: list[str]) -> list[str]:
        HostList(hosts)
        return hosts

    @field_validator("proxy")
    @classmethod
    def _an_address(cls, proxy: SecretStr | None) -> SecretStr | None:
        if proxy is not None and not re.match(r"https?://[^/?#]", proxy.get_secret_value()):
            raise ValueError("a proxy is http://host:port or https://host:port")
        return proxy


class BatchSettings(_Group):
    """How many posts go together."""

    max_posts: Count = Field(64, description="posts in one batch")
    max_in_flight: Count = Field(3, description="batches between fetch and commit")
    max_in_flight_bytes: Count = Field(
        64 * 1024 * 1024, description="bytes of records between fetch and commit; a larger record passes alone"
    )
    max_text_chars: Count = Field(100_000, description="characters of a post's text; longer is a dead letter")


class GuardSettings(_Group):
    """What ends a process that hangs, and how a post that kills the process is found."""

    max_work_seconds: Seconds = Field(
        60.0, description="longest time for one model call, one picture, or a standstill of the event loop"
    )
    memory_patience_seconds: Seconds = Field(
        2.0, description="time that a batch waits for memory before a post that does not fit is a dead letter"
    )
    memory_rest_seconds: Seconds = Field(60.0, description="time after which larger model calls are tried again")
    trial_start_seconds: Seconds = Field(120.0, description="longest start of the process that tries suspicious posts")
    trial_memory_bytes: Count = Field(
        2 * 1024 * 1024 * 1024, description="memory that one post may take on trial, above the model's"
    )


class ThresholdSettings(_Group):
    """From which probability on a post is called so; unset: the label is the most probable class.

    Tasks of two classes can have one. It is stamped on every label that it decides; probabilities stay as they are.
    """

    humour: Threshold = Field(None, gt=0, lt=1, description="probability from which on a post is called humorous")
    sarcasm: Threshold = Field(None, gt=0, lt=1, description="probability from which on a post is called sarcastic")
    offensiveness: Threshold = Field(
        None, gt=0, lt=1, description="probability from which on a post is called offensive"
    )
    motivation: Threshold = Field(
        None, gt=0, lt=1, description="probability from which on a post is called motivational"
    )

    def by_task(self) -> dict[str, float]:
        """Return the thresholds that are set."""
        return self.model_dump(exclude_none=True)


class ShadowSettings(_Group):
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


class TraceSettings(_Group):
    """Traces of posts, to an OpenTelemetry collector."""

    endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^/]+",
        description="OTLP over HTTP, such as http://collector:4318; unset: no traces",
    )
    share: Annotated[float, Field(ge=0, le=1)] = Field(
        1.0, description="share of the posts, by trace id; what the producer did not sample is never traced"
    )


class DriftSettings(_Group):
    """What the model says, held against what it used to say."""

    reference: Path | None = Field(
        None, description="labels to compare with, from `mmorient reference`; unset: the checkpoint's own"
    )
    window_posts: Annotated[int, Field(ge=1000)] = Field(8192, description="how many of the last posts are compared")


class HttpSettings(_Group):
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
        return _long_secret(token, "token")


class LogSettings(_Group):
    """Logs."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severe line that is shown")
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: console on a terminal, JSON otherwise"
    )


class StackSettings(_Group):
    """The local Kafka and Redis."""

    folder: Path = Field(Path(".stack"), description="data, logs and process ids of the local stack")


class Settings(BaseSettings):
    """Everything that an operator may set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_file=".env", extra="ignore", frozen=True
    )

    checkpoint: Path | None = Field(None, description="folder of the checkpoint; unset: the one shipped")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where torch runs")
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="arithmetic of the encoders; stamped on every label"
    )
    compiled: bool = Field(
        default=False,
        description="encoders through torch.compile: changes digits within rounding, needs a C++ compiler",
    )
    allow_inexact: bool = Field(
        default=False,
        description="run even where labels are found to depend on more than their posts; stamped on every label",
    )
    graph_context: Literal["bank", "self"] = Field(
        "bank", description="the posts that a post is compared with; stamped on every label"
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
    log: LogSettings = LogSettings()
    stack: StackSettings = StackSettings()


def load_settings(options: dict[str, Any] | None = None) -> Settings:
    """Read the settings; `options` (nested by group) win over the environment.

    Raises:
        SettingsError: a value cannot be used; the message is one line that names the variable.
    """
    try:
        return Settings(**(options or {}))
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + "__".join(str(part).upper() for part in first["loc"])
        if first["type"] == "extra_forbidden":
            # Its value stays unsaid: what a setting of a later version holds may be a secret.
            near = nearest(name, variables_of(Settings))
            hint = f"; did you mean {near}?" if near else ""
            raise SettingsError(f"{name}: this version knows no such setting{hint}") from error
        raise SettingsError(f"{name}: {_plain(first['msg'])}{_given(name, first['input'])}") from error
    except Exception as error:  # pydantic-settings wraps broken JSON in its own error
        if type(error).__name__ != "SettingsError":
            raise
        raise SettingsError(str(error)) from error


def in_the_open(settings: BaseModel) -> dict[str, Any]:
    """Return settings as JSON values, secrets included: for a process of our own, through a pipe."""
    found: dict[str, Any] = settings.model_dump(mode="json")
    for name, value in settings:
        if isinstance(value, BaseModel):
            found[name] = in_the_open(value)
        elif isinstance(value, SecretStr):
            found[name] = value.get_secret_value()
    return found


def _given(name: str, value: object) -> str:
    # A rule over a group is given all of it, its secrets too.
    if isinstance(value, dict | BaseModel) or is_secret(name):
        return ""
    return f" (got {value!r})"


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")
