"""The wheel: built from the tree, it labels a post in an environment that has never seen the project."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
TASKS = {"sentiment", "humour", "sarcasm", "offensiveness", "motivation"}

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the tree: a build writes beside its sources."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "site", "*.egg-info")
    shutil.copytree(ROOT, folder / "tree", ignore=ignored)
    uv("build", "--wheel", "--out-dir", folder, folder / "tree", folder=folder)
    (built,) = folder.glob("*.whl")
    return built


def uv(*arguments: str | Path, folder: Path) -> None:
    """Run uv outside of the project, so that none of its settings count."""
    done = subprocess.run(
        [sys.executable, "-m", "uv", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_it_holds_the_packages_their_data_and_the_licence(wheel: Path) -> None:
    """Checkpoint, JSON Schemas, golden examples, markers of types, licence; no tests and no benchmarks."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = f"mm_orient_moderation-{VERSION}.dist-info"
        metadata = archive.read(f"{info}/METADATA").decode()
        assert archive.read(f"{info}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert {name.split("/")[0] for name in names} == {"worker", "mmorient", "schemas", info}
    for package, pattern in (
        ("mmorient", "checkpoints/**/*"),
        ("mmorient", "training/data/*.toml"),
        ("schemas", "**/*.json"),
        ("worker", "serving/page/static/*"),
        ("worker", "serving/page/templates/*"),
        ("mmorient", "py.typed"),
        ("worker", "py.typed"),
        ("schemas", "py.typed"),
    ):
        wanted = {str(path.relative_to(ROOT)) for path in (ROOT / package).glob(pattern) if path.is_file()}
        assert wanted, (package, pattern)
        assert wanted <= names
    assert f"\nVersion: {VERSION}\n" in metadata
    assert "\nLicense-Expression: Apache-2.0\n" in metadata


def test_it_labels_a_post_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """With the locked versions of the base dependencies alone, from another folder, without any setting."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "empty"], check=True)
    commands = tmp_path / "empty" / "bin"
    locked = ROOT / "requirements.lock"
    uv("pip", "install", "--python", commands / "python", "--constraint", locked, wheel, folder=tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MODERATE_", "PYTHON")) and name != "VIRTUAL_ENV"
    }

    def said(*command: str, given: str = "") -> str:
        done = subprocess.run(
            [commands / command[0], *command[1:]],
            cwd=elsewhere, env=environment, input=given, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    (line,) = said("mmorient", "label", "-", given='{"id": "1", "text": "hello"}\n').splitlines()
    answer = json.loads(line)
    assert answer["id"] == "1"
    assert answer["modalities"] == ["text"]
    assert answer["labels"].keys() == TASKS
    for label in answer["labels"].values():
        assert label["label"] in label["probabilities"]
        assert sum(label["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert said("moderate", "--version").split()[-1] == VERSION
    assert "Run the worker" in said("moderate", "run", "--help")
    assert list(elsewhere.iterdir()) == []
