"""Settings: can they be used, is one misspelt, do they fit together?"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka.helpers import create_ssl_context
from dotenv import dotenv_values
from pydantic import BaseModel, ValidationError

from worker.broker.topics import shadow_topics
from worker.broker.transport import tls_context
from worker.commands.doctor.examination import Check
from worker.commands.doctor.findings import Outcome, failure, listed, ok, skipped, warning
from worker.commands.options import nested, setting_variables
from worker.commands.startup import missing_log_in
from worker.errors import SettingsError
from worker.secrets import is_secret
from worker.settings import KafkaSettings, Settings, load_settings
from worker.variables import nearest

_PREFIX = "MODERATE_"
_UNKNOWN = "extra_forbidden"


@dataclass
class GivenSettings:
    """What options, environment and `.env` say, and what became of it.

    Args:
        options: of the command.
        environment: variables.
        folder: where `.env` is looked for.
    """

    options: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    folder: Path = field(default_factory=Path.cwd)
    settings: Settings | None = None
    error: BaseException | None = None

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> "GivenSettings":
        """Read them; an error is kept."""
        given = cls(options)
        try:
            given.settings = load_settings(nested(dict(options)))
            shadow_topics(given.settings)
        except (SettingsError, OSError, ValueError) as error:
            given.error = error
            given.settings = None
        return given

    @property
    def file(self) -> Path:
        """Where `.env` is, or would be."""
        return self.folder / ".env"

    def in_file(self) -> dict[str, str | None]:
        """Return the variables of `.env`."""
        if not self.file.is_file():
            return {}
        return {name.upper(): value for name, value in dotenv_values(self.file).items() if _is_ours(name)}

    def in_environment(self) -> dict[str, str | None]:
        """Return the variables of the environment."""
        return {name.upper(): value for name, value in self.environment.items() if _is_ours(name)}

    def values(self) -> dict[str, str | None]:
        """Return what is given, by variable: options before environment before `.env`."""
        options = {_PREFIX + name.upper(): str(value) for name, value in self.options.items() if value is not None}
        return self.in_file() | self.in_environment() | options


class SettingsChecks:
    """Looks at the settings.

    Args:
        given: what was read.
    """

    def __init__(self, given: GivenSettings) -> None:
        self._given = given

    def checks(self) -> list[Check]:
        """Return the checks, in order."""
        return [
            Check("settings.file", self._file),
            Check("settings.names", self._names, needs=("settings.file",)),
            Check("settings.values", self._values, needs=("settings.names",)),
            Check("settings.security", self._security, needs=("settings.values",)),
            Check("settings.secrets", self._secrets, needs=("settings.values",)),
        ]

    async def _file(self) -> Outcome:
        file = self._given.file
        if not file.exists():
            return ok(f"no {file}: options and environment alone count")
        try:
            found = self._given.in_file()
        except (OSError, ValueError) as error:
            return failure(f"{file} cannot be read: {error}", f"make {file} readable for this user, or remove it")
        overruled = sorted(found.keys() & self._given.in_environment().keys())
        beside = f"; the environment overrules {listed(overruled)}" if overruled else ""
        return ok(f"{file} sets {len(found)} of the settings{beside}")

    async def _names(self) -> Sequence[Outcome]:
        found: list[Outcome] = []
        places = {"environment": self._given.in_environment(), str(self._given.file): self._given.in_file()}
        for place, values in places.items():
            found += [_unknown(name, place) for name in sorted(values) if not _is_known(name)]
        return found or [ok(f"every {_PREFIX}… variable is one of the {len(setting_variables())} settings")]

    async def _values(self) -> Sequence[Outcome]:
        given, error = self._given, self._given.error
        if given.settings is not None:
            count = sum(map(_is_known, given.values()))
            return [ok(f"{count} of {len(setting_variables())} settings are given, all can be used")]
        cause = error.__cause__ if isinstance(error, SettingsError) else None
        found: list[Outcome] = []
        if isinstance(cause, ValidationError):
            found = [_invalid(entry) for entry in cause.errors() if entry["type"] != _UNKNOWN]
        return found or list(_broken_json(given.values())) or [failure(str(error), "correct the setting that it names")]

    async def _security(self) -> Sequence[Outcome]:
        settings = self._given.settings
        if settings is None:
            return [skipped("needs settings.values")]
        kafka = settings.kafka
        return list(_security_of(kafka)) or [ok(f"{kafka.security_protocol}{_log_in_of(kafka)}")]

    async def _secrets(self) -> Sequence[Outcome]:
        given = self._given.values()
        spaced = [name for name in sorted(given) if _has_space(name, given[name])]
        if spaced:
            return [
                warning(
                    f"{name} begins or ends with white space, which counts",
                    f"take it out of {name}: `echo` writes a line's end, `printf %s` does not",
                )
                for name in spaced
            ]
        count = sum(is_secret(name) for name in given if _is_known(name))
        return [ok(f"{count or 'none'} given{', no white space around any' if count else ''}")]


def _has_space(variable: str, value: str | None) -> bool:
    """Return whether white space is part of a log-in, which nobody sees and every server refuses."""
    is_log_in = is_secret(variable) or variable.endswith("USERNAME")
    return is_log_in and not variable.endswith("_FILE") and bool(value) and value != (value or "").strip()


def _security_of(kafka: KafkaSettings) -> Iterator[Outcome]:
    protocol, log_in = kafka.security_protocol, kafka.security_protocol.startswith("SASL")
    if missing := missing_log_in(kafka):
        yield failure(f"{protocol} wants a log-in, and {listed(missing)} is not set", f"set {listed(missing)}")
    if not log_in and (kafka.sasl_username is not None or kafka.sasl_password is not None):
        yield warning(
            f"a log-in is set and not used: the transport is {protocol}",
            f"set MODERATE_KAFKA__SECURITY_PROTOCOL to SASL_{protocol}, or take the MODERATE_KAFKA__SASL_… away",
        )
    if protocol == "SASL_PLAINTEXT" and kafka.sasl_mechanism == "PLAIN" and not missing:
        yield warning(
            "the password goes over the network unencrypted",
            "set MODERATE_KAFKA__SECURITY_PROTOCOL to SASL_SSL, or MODERATE_KAFKA__SASL_MECHANISM to SCRAM-SHA-512",
        )
    file = kafka.ssl_cafile
    if file is not None and not protocol.endswith("SSL"):
        yield warning(
            f"a certificate authority is set and not used: the transport is {protocol}",
            "set MODERATE_KAFKA__SECURITY_PROTOCOL to SSL or SASL_SSL, or take MODERATE_KAFKA__SSL_CAFILE away",
        )
    elif file is not None:
        try:
            create_ssl_context(cafile=str(file))
        except (OSError, ValueError) as error:
            yield failure(f"the certificate authority {file} cannot be used: {error}", _CAFILE)
            return
    yield from _certificate_of(kafka)
    yield from _tokens_of(kafka)


def _certificate_of(kafka: KafkaSettings) -> Iterator[Outcome]:
    protocol = kafka.security_protocol
    if kafka.ssl_certfile is None:
        return
    if not protocol.endswith("SSL"):
        yield warning(
            f"a certificate of this client is set and not used: the transport is {protocol}",
            "set MODERATE_KAFKA__SECURITY_PROTOCOL to SSL or SASL_SSL, or take MODERATE_KAFKA__SSL_CERTFILE away",
        )
        return
    try:
        tls_context(kafka)
    except SettingsError as error:
        setting, _, said = str(error).partition(": ")
        yield failure(f"the certificate of this client cannot be used: {said}", f"correct {setting}")


def _tokens_of(kafka: KafkaSettings) -> Iterator[Outcome]:
    given = kafka.oauth_token_url is not None or kafka.oauth_token_command is not None
    if given and (kafka.sasl_mechanism != "OAUTHBEARER" or not kafka.security_protocol.startswith("SASL")):
        yield warning(
            "tokens are set and not used: they belong to SASL_SSL with OAUTHBEARER",
            "set MODERATE_KAFKA__SECURITY_PROTOCOL and MODERATE_KAFKA__SASL_MECHANISM, or take the "
            "MODERATE_KAFKA__OAUTH_… away",
        )
    elif given and kafka.security_protocol == "SASL_PLAINTEXT":
        yield warning(
            "tokens go over the network unencrypted: whoever reads one may use it",
            "set MODERATE_KAFKA__SECURITY_PROTOCOL to SASL_SSL",
        )
    if (kafka.oauth_token_url or "").startswith("http://"):
        yield warning(
            "the client's secret goes to the token endpoint unencrypted",
            "let MODERATE_KAFKA__OAUTH_TOKEN_URL begin with https://",
        )


_CAFILE = "let MODERATE_KAFKA__SSL_CAFILE name a PEM file that is there, with the authority that signed the brokers"


def _log_in_of(kafka: KafkaSettings) -> str:
    shows_one = kafka.ssl_certfile is not None and kafka.security_protocol.endswith("SSL")
    shown = ", with a certificate of this client" if shows_one else ""
    if not kafka.security_protocol.startswith("SASL"):
        return shown
    if kafka.sasl_mechanism == "OAUTHBEARER":
        source = "a command" if kafka.oauth_token_command is not None else "a token endpoint"
        return f"{shown}, OAUTHBEARER with tokens of {source}"
    return f"{shown}, {kafka.sasl_mechanism} as {kafka.sasl_username}"


def _is_ours(name: str) -> bool:
    return name.upper().startswith(_PREFIX)


def _groups() -> dict[str, type[BaseModel]]:
    return {
        f"{_PREFIX}{name.upper()}": kind.annotation
        for name, kind in Settings.model_fields.items()
        if isinstance(kind.annotation, type) and issubclass(kind.annotation, BaseModel)
    }


def _is_known(name: str) -> bool:
    # A group may be given as JSON, an entry of a table by its own name.
    known = setting_variables() | _groups().keys()
    return name in known or any(name.startswith(f"{table}__") for table in _tables())


def _tables() -> set[str]:
    """Return the variables whose value is written as JSON."""
    return {
        f"{group}__{name.upper()}"
        for group, kind in _groups().items()
        for name, entry in kind.model_fields.items()
        if isinstance(entry.get_default(call_default_factory=True), dict | list)
    }


def _unknown(name: str, place: str) -> Outcome:
    near = nearest(name, setting_variables())
    remedy = f"write {near}, or remove {name}" if near else f"remove {name}; `moderate run --help` lists all"
    if any(name.startswith(f"{group}__") for group in _groups()):
        return failure(f"{name} ({place}) is not a setting, and the worker refuses to start with it", remedy)
    return warning(f"{name} ({place}) is not a setting: it is ignored", remedy)


def _invalid(entry: Any) -> Outcome:
    """Return what is wrong with one value; a group's is not shown, it may hold a password."""
    path = [str(part) for part in entry["loc"]]
    variable = _PREFIX + "__".join(part.upper() for part in path)
    value = entry["input"]
    shown = f" (got {value!r})" if isinstance(value, str | int | float) and not is_secret(variable) else ""
    message = str(entry["msg"]).removeprefix("Value error, ")
    return failure(f"{variable}: {message}{shown}", f"correct {variable}{_meaning(path)}")


def _meaning(path: Sequence[str]) -> str:
    model: Any = Settings
    for part in path:
        fields = model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else {}
        if part not in fields:
            return ""
        text, model = fields[part].description, fields[part].annotation
        if text:
            return f": {text}"
    return ""


def _broken_json(values: Mapping[str, str | None]) -> Iterator[Outcome]:
    for variable in sorted((_tables() | _groups().keys()) & values.keys()):
        try:
            json.loads(values[variable] or "")
        except ValueError as error:
            yield failure(f"{variable} is not JSON: {error}", f"write {variable} as JSON, quotes included")
