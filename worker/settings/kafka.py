"""Settings of the broker, the topics and the group."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from mmorient import TASKS
from worker.secrets import from_file
from worker.settings.group import Count, Group, Seconds

POST_FIELDS = ("id", "text", "media", "created_at", "author_id", "community", "language")

# Where decisions go when a folder of policies is named and no topic is.
DECISIONS_TOPIC = "decisions"


class KafkaSettings(Group):
    """The broker, the topics and the group."""

    bootstrap_servers: str | None = Field(None, description="host:port,…; unset: the local stack")
    group_id: str = Field(
        "moderate", min_length=1, description="consumer group, and the start of every transactional id"
    )
    group_instance_id: str | None = Field(None, description="static member name, such as the pod's")
    client_rack: str | None = Field(
        None,
        description="where the worker runs, as broker.rack names it, such as a zone: posts come from a replica there, "
        "where the brokers' replica.selector.class allows it; unset or empty: from the leaders",
    )
    leave_on_stop: bool = Field(
        default=False,
        description="a static member that stops in order gives its name up, and its partitions to the others at once",
    )
    assignment: Literal["sticky", "round-robin"] = Field(
        "sticky",
        description="how the worker that leads the group deals partitions out: sticky leaves them where they are, as "
        "far as that is even",
    )
    posts_topic: str = Field("posts", min_length=1, description="topic that posts are read from")
    dead_letter_topic: str = Field("posts.dead-letter", min_length=1, description="topic for what cannot be processed")
    routes: dict[str, str] = Field(
        default={task: f"labels.{task}" for task in ("sentiment", "sarcasm", "offensiveness")},
        description="task to topic, as JSON; tasks that share a topic share a record",
    )
    decisions_topic: str | None = Field(
        None,
        min_length=1,
        description="topic for decisions, which turns them on; unset: decisions where MODERATE_POLICIES is set",
    )
    policies_topic: str = Field(
        "moderate.policies",
        min_length=1,
        description="control topic from which running workers take policies, where decisions are on",
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
    failing_partition_seconds: Seconds = Field(
        900.0,
        description="a partition that worked and then fails for so long, while others are committed, ends the process "
        "once; until then, and afterwards, it waits alone",
    )
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
    ssl_certfile: Path | None = Field(
        None, description="this client's certificate with those between it and its authority, PEM"
    )
    ssl_keyfile: Path | None = Field(None, description="the certificate's private key, PEM; unset: in the same file")
    ssl_key_password: SecretStr | None = Field(None, description="of the private key, where it is encrypted")
    ssl_key_password_file: Path | None = Field(None, description="file that holds the private key's password")
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        "PLAIN", description="of the log-in"
    )
    sasl_username: str | None = Field(None, description="of the log-in")
    sasl_password: SecretStr | None = Field(None, description="of the log-in")
    sasl_password_file: Path | None = Field(None, description="file that holds the password of the log-in")

    oauth_token_url: str | None = Field(
        None, pattern=r"^https?://[^/@]+", description="where OAUTHBEARER gets tokens for a client and its secret"
    )
    oauth_client_id: str | None = Field(None, description="of the client that tokens are for")
    oauth_client_secret: SecretStr | None = Field(None, description="of the client that tokens are for")
    oauth_client_secret_file: Path | None = Field(None, description="file that holds the client's secret")
    oauth_scope: str | None = Field(None, description="that tokens are asked for with, where the endpoint wants one")
    oauth_cafile: Path | None = Field(None, description="certificate authority of the token endpoint, PEM")
    oauth_token_command: str | None = Field(
        None,
        min_length=1,
        description="program with arguments that prints a token for OAUTHBEARER, in the place of a token endpoint; "
        "no shell reads it",
    )
    oauth_timeout_seconds: Seconds = Field(10.0, description="longest time that getting one token may take")

    @model_validator(mode="before")
    @classmethod
    def _secrets_from_files(cls, values: Any) -> Any:
        for name in ("sasl_password", "ssl_key_password", "oauth_client_secret"):
            values = from_file(values, name, f"{name}_file")
        return values

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
                raise ValueError(f"{pointer!r} is not a JSON pointer: it begins with /")
        return fields

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.heartbeat_interval_seconds * 2 > self.session_timeout_seconds:
            raise ValueError("heartbeat_interval_seconds must be at most half of session_timeout_seconds")
        if {self.posts_topic, self.dead_letter_topic} & set(self.routes.values()):
            raise ValueError("labels may not go to the topic of the posts or of the dead letters")
        if self.decisions_topic is not None:
            apart = [self.posts_topic, self.dead_letter_topic, *self.routes.values()]
            if self.decisions_topic in {*apart, self.policies_topic} or self.policies_topic in apart:
                raise ValueError("decisions and policies each have a topic of their own")
        if self.ssl_certfile is None and (self.ssl_keyfile is not None or self.ssl_key_password is not None):
            raise ValueError("ssl_keyfile and ssl_key_password need ssl_certfile")
        if self.oauth_token_command is not None and self.oauth_token_url is not None:
            raise ValueError("oauth_token_command and oauth_token_url both give tokens: one of them is enough")
        if self.post_format in {"avro", "protobuf"} and self.registry_url is None:
            raise ValueError(f"post_format {self.post_format} needs registry_url")
        return self

    @property
    def text_format(self) -> str:
        """What posts come wrapped in once they are no longer bytes: `post_format` without the registry's formats."""
        return "auto" if self.post_format in {"avro", "protobuf"} else self.post_format
