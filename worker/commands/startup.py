"""What every command does first: settings read, logs set up, addresses of the local stack filled in."""

import os
from importlib.util import find_spec
from typing import Any

import structlog

from mmorient import CheckpointError, check_checkpoint
from worker.commands.options import nested
from worker.commands.stack.stack import Stack
from worker.errors import SettingsError
from worker.policies.reading import folder_policies
from worker.secrets import text_of
from worker.settings import KafkaSettings, Settings, load_settings
from worker.telemetry.logs import configure_logs
from worker.variables import mistyped

log = structlog.get_logger(__name__)


def read_settings(options: dict[str, Any], *, broker: bool = True) -> Settings:
    """Read the settings, fill in the local stack's addresses where none are given, and set up the logs.

    Args:
        options: of the command.
        broker: whether the command talks to one.

    Raises:
        SettingsError: a setting cannot be used, or there is no broker to talk to.
    """
    settings = load_settings(nested(options))
    configure_logs(settings.log.level, settings.log.format)
    for name, near in mistyped(os.environ, Settings).items():
        log.warning("no_such_setting", variable=name, nearest=near)
    warn_of_white_space(settings)
    refuse_half_log_in(settings.kafka)
    refuse_missing_authority(settings)
    return with_local_stack(settings, broker=broker)


def warn_of_white_space(settings: Settings) -> None:
    """Warn of secrets with white space at their ends: in a file it is left out, elsewhere it is part of the secret."""
    for name, file in (
        ("MODERATE_KAFKA__SASL_PASSWORD_FILE", settings.kafka.sasl_password_file),
        ("MODERATE_KAFKA__SSL_KEY_PASSWORD_FILE", settings.kafka.ssl_key_password_file),
        ("MODERATE_KAFKA__OAUTH_CLIENT_SECRET_FILE", settings.kafka.oauth_client_secret_file),
        ("MODERATE_REDIS__PASSWORD_FILE", settings.redis.password_file),
    ):
        if file is not None and (content := file.read_bytes()) != content.strip():
            log.warning("white_space_left_out", setting=name)
    for name, secret in (
        ("MODERATE_KAFKA__SASL_PASSWORD", settings.kafka.sasl_password),
        ("MODERATE_KAFKA__SSL_KEY_PASSWORD", settings.kafka.ssl_key_password),
        ("MODERATE_KAFKA__OAUTH_CLIENT_SECRET", settings.kafka.oauth_client_secret),
        ("MODERATE_REDIS__PASSWORD", settings.redis.password),
        ("MODERATE_REDIS__SECRET", settings.redis.secret),
    ):
        if (text := text_of(secret)) is not None and text != text.strip():
            log.warning("white_space_in_secret", setting=name)


def missing_log_in(kafka: KafkaSettings) -> list[str]:
    """Return the variables of the log-in that the transport wants and that are not set."""
    if not kafka.security_protocol.startswith("SASL"):
        return []
    if kafka.sasl_mechanism == "OAUTHBEARER":
        if kafka.oauth_token_command is not None:
            return []
        given = {
            "OAUTH_TOKEN_URL": kafka.oauth_token_url,
            "OAUTH_CLIENT_ID": kafka.oauth_client_id,
            "OAUTH_CLIENT_SECRET": kafka.oauth_client_secret,
        }
    else:
        given = {"SASL_USERNAME": kafka.sasl_username, "SASL_PASSWORD": kafka.sasl_password}
    return [f"MODERATE_KAFKA__{name}" for name, value in given.items() if value is None]


def refuse_half_log_in(kafka: KafkaSettings) -> None:
    """Refuse a transport with a log-in that is not whole, before a client does in the middle of something.

    Raises:
        SettingsError: user or password is missing.
    """
    if missing := missing_log_in(kafka):
        raise SettingsError(f"{kafka.security_protocol} wants a log-in: set {' and '.join(missing)}")


def refuse_missing_authority(settings: Settings) -> None:
    """Read the files of TLS, where some are named, before a client does in the middle of something.

    Raises:
        SettingsError: one is not there, holds no certificates, or the key is not the certificate's.
    """
    kafka = settings.kafka
    if kafka.ssl_cafile is not None or kafka.ssl_certfile is not None:
        # Nothing of aiokafka: it would cost every command a part of a second.
        from worker.broker.transport import tls_context

        tls_context(kafka)
    if kafka.oauth_cafile is not None and not kafka.oauth_cafile.is_file():
        raise SettingsError(f"MODERATE_KAFKA__OAUTH_CAFILE: no such file (got {str(kafka.oauth_cafile)!r})")


def refuse_missing_files(settings: Settings) -> None:
    """Look for checkpoints, reference and policies before torch is loaded, which takes seconds.

    Raises:
        SettingsError: there is none that can be read where one is named, or the extra that a setting needs is missing.
    """
    if settings.kafka.registry_url is not None and find_spec("fastavro") is None:
        raise SettingsError(
            "MODERATE_KAFKA__REGISTRY_URL: reading Avro needs the extra 'registry': "
            "pip install 'mm-orient-moderation[registry]'"
        )
    for variable, folder in (
        ("MODERATE_CHECKPOINT", settings.checkpoint),
        ("MODERATE_SHADOW__CHECKPOINT", settings.shadow.checkpoint),
    ):
        try:
            if folder is not None and not (folder / "config.json").is_file():
                raise SettingsError(f"{variable}: no checkpoint in {folder} (its config.json is missing)")
            if folder is not None:
                check_checkpoint(folder)
        except (CheckpointError, OSError) as error:
            raise SettingsError(f"{variable}: {error}") from error
    if settings.kafka.decisions_topic is not None:
        folder_policies(settings)
    if (reference := settings.drift.reference) is not None and not reference.is_file():
        raise SettingsError(f"MODERATE_DRIFT__REFERENCE: there is no file {reference} (`mmorient reference` makes one)")


def with_local_stack(settings: Settings, *, broker: bool = True) -> Settings:
    """Return the settings with the local stack's addresses in the place of those not given.

    Args:
        settings: as they were given.
        broker: whether there must be one.

    Raises:
        SettingsError: no broker is named and no local stack is up.
    """
    local = Stack(settings.stack.folder).status()
    kafka = settings.kafka.bootstrap_servers or local.kafka
    redis = settings.redis.url if settings.redis.url is not None else local.redis
    if broker and not kafka:
        raise SettingsError(
            "MODERATE_KAFKA__BOOTSTRAP_SERVERS: no broker is named and no local stack is up in "
            f"{settings.stack.folder} (start one with `moderate stack up`)"
        )
    return settings.model_copy(
        update={
            "kafka": settings.kafka.model_copy(update={"bootstrap_servers": kafka}),
            "redis": settings.redis.model_copy(update={"url": redis}),
        }
    )
