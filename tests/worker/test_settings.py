"""Settings and the command line: what a user gets wrong is said in one line, with exit code 2."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from mmorient.labels import BINARY_TASKS
from tests.worker.conftest import ModerateHere
from worker.cli import moderate
from worker.commands.options import nested
from worker.commands.startup import read_settings, refuse_missing_files
from worker.errors import SettingsError
from worker.isolation.child_process import packed_settings, unpacked_settings
from worker.settings import Settings, ThresholdSettings, load_settings
from worker.shadow.parent import shadow_settings
from worker.variables import mistyped


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("MODERATE_HTTP__PORT", "http", "MODERATE_HTTP__PORT"),
        ("MODERATE_HTTP__PORT", "0", "MODERATE_HTTP__PORT"),
        ("MODERATE_PRECISION", "int8", "MODERATE_PRECISION"),
        ("MODERATE_BATCH__MAX_POSTS", "-1", "MODERATE_BATCH__MAX_POSTS"),
        ("MODERATE_KAFKA__ROUTES", "nonsense", "routes|ROUTES|kafka"),
        ("MODERATE_KAFKA__ROUTES", '{"tone": "x"}', "unknown task 'tone'"),
        ("MODERATE_KAFKA__ROUTES", '{"sarcasm": "posts"}', "labels may not go"),
        ("MODERATE_KAFKA__NONSENSE", "1", "NONSENSE|nonsense"),
        ("MODERATE_THRESHOLDS__OFFENSIVENESS", "1", "MODERATE_THRESHOLDS__OFFENSIVENESS: Input should be less than 1"),
        ("MODERATE_THRESHOLDS__OFFENSIVENESS", "nan", "MODERATE_THRESHOLDS__OFFENSIVENESS"),
        ("MODERATE_THRESHOLDS__OFFENSIVENESS", "often", "MODERATE_THRESHOLDS__OFFENSIVENESS: .*valid number"),
        ("MODERATE_THRESHOLDS__SENTIMENT", "0.5", "MODERATE_THRESHOLDS__SENTIMENT: this version knows no such setting"),
        ("MODERATE_THRESHOLDS__OFFENSIVE", "0.5", "MODERATE_THRESHOLDS__OFFENSIVE: this version knows no such"),
        ("MODERATE_KAFKA__POST_FORMAT", "xml", "MODERATE_KAFKA__POST_FORMAT"),
        ("MODERATE_KAFKA__POST_FORMAT", "avro", "needs registry_url"),
        ("MODERATE_KAFKA__POST_FIELDS", '{"body": "/text"}', "unknown field 'body'"),
        ("MODERATE_KAFKA__POST_FIELDS", '{"text": "body"}', "not a JSON pointer"),
        ("MODERATE_KAFKA__REGISTRY_URL", "registry:8081", "MODERATE_KAFKA__REGISTRY_URL"),
    ],
)
def test_a_bad_setting_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    """The message names the variable or the value, without a traceback."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=words) as caught:
        load_settings()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("content", "words"), [(None, "no such file"), ("no PEM", "no certificates")])
def test_an_authority_that_cannot_be_read_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None, words: str
) -> None:
    """A missing or broken certificate authority is named before anything connects."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    monkeypatch.setenv("MODERATE_KAFKA__SSL_CAFILE", str(file))
    with pytest.raises(SettingsError, match=f"MODERATE_KAFKA__SSL_CAFILE: {words}"):
        read_settings({})


def test_a_registry_without_its_extra_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Said before torch is loaded, with what to install; the formats that need none do not ask for it."""
    settings = load_settings({"kafka": {"registry_url": "http://registry:8081", "registry_password": "swordfish"}})
    assert "swordfish" not in repr(settings)
    refuse_missing_files(settings)
    monkeypatch.setattr("worker.commands.startup.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"\[registry\]"):
        refuse_missing_files(settings)
    refuse_missing_files(load_settings({}))


def test_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option overrules a variable; a variable overrules the default; groups nest."""
    monkeypatch.setenv("MODERATE_KAFKA__GROUP_ID", "from-environment")
    monkeypatch.setenv("MODERATE_BATCH__MAX_POSTS", "17")
    settings = load_settings(nested({"kafka__group_id": "from-option", "http__port": None}))
    assert settings.kafka.group_id == "from-option"
    assert settings.batch.max_posts == 17
    assert settings.http.port == 8080


def test_thresholds_are_settings_of_the_tasks_of_two_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """By variable and by option; what is not set is not there. The shadow's labels follow the same ones."""
    assert load_settings().thresholds.by_task() == {}
    assert tuple(ThresholdSettings.model_fields) == BINARY_TASKS
    monkeypatch.setenv("MODERATE_THRESHOLDS__OFFENSIVENESS", "0.7")
    settings = load_settings(nested({"thresholds__sarcasm": "0.45", "shadow__checkpoint": "other"}))
    assert settings.thresholds.by_task() == {"sarcasm": 0.45, "offensiveness": 0.7}
    assert shadow_settings(settings).thresholds == settings.thresholds
    assert "--thresholds-offensiveness" in CliRunner().invoke(moderate, ["run", "--help"]).output


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password never shows in a dump of the settings."""
    monkeypatch.setenv("MODERATE_KAFKA__SASL_PASSWORD", "hunter2")
    assert "hunter2" not in repr(load_settings())


def test_every_setting_is_an_option() -> None:
    """`moderate run --help` lists every setting with its variable."""
    said = CliRunner().invoke(moderate, ["run", "--help"]).output
    for option, variable in (
        ("--kafka-bootstrap-servers", "MODERATE_KAFKA__BOOTSTRAP_SERVERS"),
        ("--redis-url", "MODERATE_REDIS__URL"),
        ("--checkpoint", "MODERATE_CHECKPOINT"),
        ("--precision", "MODERATE_PRECISION"),
    ):
        assert option in said
        assert variable in said.replace("\n", "").replace(" ", "")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "--http-port", "x"], 2, "MODERATE_HTTP__PORT"),
        (["run", "--checkpoint", "/nowhere"], 2, "no checkpoint in /nowhere"),
        (["run", "--nonsense"], 2, "No such option"),
        (["nonsense"], 2, "No such command"),
        (["topics", "create", "--partitions", "0"], 2, "partitions"),
        (["--help"], 0, ""),
        (["--version"], 0, ""),
    ],
)
def test_exit_codes_of_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, moderate_here: ModerateHere, arguments: list[str], code: int, words: str
) -> None:
    """Wrong usage and wrong settings end with 2 before anything starts; help ends with 0."""
    monkeypatch.setenv("MODERATE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    ended = moderate_here(*arguments)
    assert ended.code == code, ended.errors
    assert words in ended.errors
    assert code == 0 or len(ended.errors.strip().splitlines()) == 1


def test_without_a_broker_the_way_out_is_said(moderate_here: ModerateHere, monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker named and no local stack: exit code 2 and what to do."""
    monkeypatch.delenv("MODERATE_KAFKA__BOOTSTRAP_SERVERS", raising=False)
    done = moderate_here("run")
    assert done.code == 2
    assert "moderate stack up" in done.errors
    assert len(done.errors.strip().splitlines()) == 1


def test_no_refusal_says_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule over a whole group is broken: its other values, secrets among them, stay unsaid."""
    monkeypatch.setenv("MODERATE_KAFKA__SASL_PASSWORD", "hunter2")
    monkeypatch.setenv("MODERATE_KAFKA__HEARTBEAT_INTERVAL_SECONDS", "20")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert "heartbeat_interval_seconds" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "option",
    [
        "--kafka-sasl-password",
        "--kafka-ssl-key-password",
        "--kafka-oauth-client-secret",
        "--kafka-registry-password",
        "--redis-password",
        "--redis-secret",
        "--media-proxy",
    ],
)
def test_no_secret_on_a_command_line(option: str) -> None:
    """Everybody on the machine reads command lines: the option says which variable is meant, and not the word."""
    done = CliRunner().invoke(moderate, ["run", option, "swordfish"])
    assert done.exit_code == 2
    assert f"set MODERATE_{option.removeprefix('--').replace('-', '__', 1).replace('-', '_').upper()}" in done.output
    assert "swordfish" not in done.output
    assert f"{option} " not in CliRunner().invoke(moderate, ["run", "--help"]).output


def test_no_password_in_an_address_on_a_command_line() -> None:
    """An address without one is an option as before."""
    done = CliRunner().invoke(moderate, ["run", "--redis-url", "redis://:swordfish@h:1/0"])
    assert done.exit_code == 2
    assert "MODERATE_REDIS__PASSWORD" in done.output
    assert "swordfish" not in done.output


def test_a_mistyped_variable_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a group it ends the command; beside the groups it is ignored, and said."""
    monkeypatch.setenv("MODERATE_KAFKA__SASL_PASWORD", "swordfish")
    with pytest.raises(SettingsError, match=r"did you mean MODERATE_KAFKA__SASL_PASSWORD\?") as caught:
        load_settings()
    assert "swordfish" not in str(caught.value)
    given = {"MODERATE_CHEKPOINT": "a", "MODERATE_KAFKA": "{}", "MODERATE_KAFKA__ROUTES__sarcasm": "t", "PATH": "/"}
    assert mistyped(given, Settings) == {"MODERATE_CHEKPOINT": "MODERATE_CHECKPOINT"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALLOWED_HOSTS", '["a b"]'),
        ("PROXY", "socks5://me:swordfish@h"),
        ("ALLOWED_PORTS", "[0]"),
        ("USER_AGENT", "a\nb"),
    ],
)
def test_settings_of_fetching_are_checked(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A list with a mistake, a proxy that is none, a port that is none, a line end in a header: one line."""
    monkeypatch.setenv(f"MODERATE_MEDIA__{name}", value)
    with pytest.raises(SettingsError, match=f"MODERATE_MEDIA__{name}") as caught:
        load_settings()
    assert "swordfish" not in str(caught.value)


def test_a_child_gets_all_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trial and the shadow log in as the worker does."""
    for name in ("KAFKA__SASL_PASSWORD", "KAFKA__REGISTRY_PASSWORD", "REDIS__PASSWORD", "REDIS__SECRET"):
        monkeypatch.setenv(f"MODERATE_{name}", f"a-long-secret-of-{name}")
    settings = load_settings()
    assert packed_settings(unpacked_settings(packed_settings(settings))) == packed_settings(settings)
    assert b"a-long-secret-of-REDIS__SECRET" in packed_settings(settings)


def test_lists_and_tables_are_json_as_options_too() -> None:
    """What is no JSON is refused by the setting's name."""
    command = moderate.commands["run"]
    given = ["--kafka-routes", '{"sarcasm": "x"}', "--serve-cors-origins", '["https://shop.example"]']
    with command.make_context("run", given) as context:
        settings = load_settings(nested(context.params))
    assert settings.kafka.routes == {"sarcasm": "x"}
    assert settings.serve.cors_origins == ["https://shop.example"]
    with (
        command.make_context("run", ["--kafka-routes", "sarcasm"]) as context,
        pytest.raises(SettingsError, match="MODERATE_KAFKA__ROUTES"),
    ):
        load_settings(nested(context.params))
