"""Some inputs of each target, those that crashed once, and that a crash is found."""

import json
import os
import random
from pathlib import Path

import pytest

from tests.fuzz.running import Target, run
from tests.fuzz.targets import TARGETS, prepare, prepared_checkpoint
from worker.errors import SettingsError
from worker.labelling.cache.covering import cover, uncover
from worker.settings import load_settings

_SOAK_SECONDS = 12.0
# Files of checkpoints take torch.
_MARKS = {"checkpoints": pytest.mark.model, "pictures": pytest.mark.slow}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=_MARKS[name]) if name in _MARKS else name for name in TARGETS]
)
def test_some_inputs_of_each_target(name: str, tmp_path: Path) -> None:
    """None does what nobody expects."""
    prepare([name])
    found = run(TARGETS[name], seed="quick", inputs=40 if name == "checkpoints" else 200, seconds=30, folder=tmp_path)
    assert found.crashes == {}
    assert found.inputs > 0


@pytest.mark.soak
@pytest.mark.parametrize("name", TARGETS)
def test_a_minute_of_new_inputs(name: str, tmp_path: Path) -> None:
    """Twelve seconds of each of the five targets; every night others."""
    prepare([name])
    seed = os.urandom(4).hex()
    found = run(TARGETS[name], seed=seed, inputs=10_000_000, seconds=_SOAK_SECONDS, folder=tmp_path)
    assert found.crashes == {}, f"python -m tests.fuzz {name} --seed {seed} --only {min(found.crashes)}"
    assert found.inputs > 0


def _number(chance: random.Random) -> object:
    return chance.randrange(50)


def _falls(value: object) -> None:
    if value == 7:
        os.abort()
    if value == 8:
        raise KeyError("eight")


def test_a_crash_is_found_and_the_rest_is_read(tmp_path: Path) -> None:
    """A process that dies, and an error that nobody expects: each by its number, and the run goes on behind it."""
    found = run(Target("numbers", _number, _falls), seed="0", inputs=120, seconds=60, folder=tmp_path)
    fallen = {n: _number(random.Random(f"0:numbers:{n}")) for n in range(120)}
    assert set(found.crashes) == {number for number, value in fallen.items() if value in {7, 8}}
    assert found.inputs == 120
    assert {said.partition(":")[0] for said in found.crashes.values()} == {"SIGABRT", "exit 1"}


@pytest.mark.model
def test_a_config_of_sizes_beyond_any_is_refused() -> None:
    """Torch refuses it by errors of its own, with a call stack in the message."""
    file = prepared_checkpoint() / "config.json"
    config = json.loads(file.read_bytes())
    config["head"]["task_features"] = {"sentiment": 10**30}
    TARGETS["checkpoints"].read(("config.json", json.dumps(config).encode(), True))


def test_a_covered_text_of_no_ascii_is_none() -> None:
    """Whoever writes to Redis could end the worker with one: base64 refuses it by another error than the rest."""
    assert uncover("\N{SNOWMAN}", b"key", b"secret") is None
    assert uncover("=", b"key", b"secret") is None
    assert uncover(cover("what a day", b"key", b"secret"), b"key", b"secret") == "what a day"


def test_bytes_that_are_no_text_in_the_environment_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password in Latin-1: the variable is named, and nothing of what it holds."""
    monkeypatch.setenv("MODERATE_KAFKA__SASL_PASSWORD", "swordfish\udcfc")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == "MODERATE_KAFKA__SASL_PASSWORD: holds bytes that are not text in UTF-8"


def test_a_file_that_is_no_text_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same of .env."""
    (tmp_path / ".env").write_bytes(b"MODERATE_KAFKA__GROUP_ID=\xfc\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=r"the file \.env, holds bytes that are not text in UTF-8"):
        load_settings()


def test_a_file_s_setting_with_more_behind_its_name_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with two more lines under it makes a table where a path is wanted."""
    monkeypatch.setenv("MODERATE_REDIS__PASSWORD_FILE__X", "secret")
    with pytest.raises(SettingsError, match="MODERATE_REDIS__PASSWORD_FILE: "):
        load_settings()


def test_settings_nested_without_end_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON deeper than any reader goes."""
    monkeypatch.setenv("MODERATE_KAFKA__ROUTES", '{"a":' * 30_000)
    with pytest.raises(SettingsError, match="nested too deeply"):
        load_settings()
