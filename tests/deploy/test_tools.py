"""A machine without a tool skips the tests of it, and says why."""

import os
import shutil
from pathlib import Path

import pytest

from tests.deploy.tools import helm

# What its script needs besides Go.
_NEEDED = ("sh", "dirname", "mkdir", "mv", "rmdir")


def only_with(said: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing on the PATH but what the script needs, and a Go that says this and fails; none where it is None."""
    programs = folder / "bin"
    programs.mkdir()
    for name in _NEEDED:
        (programs / name).symlink_to(shutil.which(name) or name)
    if said is not None:
        (programs / "go").write_text(f"#!{shutil.which('sh')}\necho '{said}' >&2\nexit 1\n", encoding="utf-8")
        (programs / "go").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (None, "which needs Go"),
        ("go: helm.sh/helm/v3@v3.22.0 requires go >= 1.26.0 (running go 1.22.5)", "requires go >= 1.26.0"),
        ('go: Get "https://nowhere.invalid": dial tcp: lookup nowhere.invalid: no such host', "no such host"),
    ],
    ids=["none", "old", "offline"],
)
def test_without_a_go_that_can_build_it_helm_is_skipped(
    said: str | None, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No Go, one that is too old, and one that reaches no modules; nothing is kept of the attempt."""
    only_with(said, tmp_path, monkeypatch)
    with pytest.raises(pytest.skip.Exception, match=why):
        helm(build=True)
    assert not [name for _, _, files in os.walk(tmp_path / "cache") for name in files if name != "helm.lock"]


def test_a_build_of_helm_that_fails_otherwise_is_no_skip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It quotes what Go said."""
    only_with("undefined: chart", tmp_path, monkeypatch)
    with pytest.raises(AssertionError, match="undefined: chart"):
        helm(build=True)
