"""What runs on a real control plane is left to `make kubernetes`; what it is made of is pinned."""

import re
import subprocess
import sys

import pytest

from tests.kubernetes.completed import added, lost, unmeant
from tests.kubernetes.programs import version
from tests.tiers import ROOT, TIERS

_FOLDER = ROOT / "tests" / "kubernetes"


def collected(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask pytest which tests of the folder it would run."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider", *arguments]
    return subprocess.run([*command, str(_FOLDER)], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("tier", [None, *TIERS])
def test_no_tier_collects_what_needs_a_cluster(tier: str | None) -> None:
    """Neither `check`, `test`, `soak` nor a run that asks for no tier has a test of tests/kubernetes."""
    ended = collected(*(("--tier", tier) if tier else ()))
    assert ended.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, ended.stdout


@pytest.mark.slow
def test_make_kubernetes_collects_all_of_it() -> None:
    """With its option, every file of the folder has tests."""
    ended = collected("--kubernetes")
    assert ended.returncode == pytest.ExitCode.OK, ended.stdout
    files = set(re.findall(r"^tests/kubernetes/(\w+\.py)", ended.stdout, re.MULTILINE))
    assert files == {path.name for path in _FOLDER.glob("test_*.py")}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(
        r"^kubernetes: .*\n\t.*build\.sh --keda.*\n\t.* --kubernetes .*tests/kubernetes$", makefile, re.MULTILINE
    )
    assert "make kubernetes" not in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_libraries_are_of_the_version_of_their_programs() -> None:
    """All parts of Kubernetes that its module replaces are of one release."""
    wanted = version("cluster", "k8s.io/kubernetes").replace("v1.", "v0.")
    text = (_FOLDER / "tools" / "cluster" / "go.mod").read_text(encoding="utf-8")
    replaced = dict(re.findall(r"^\s+(k8s\.io/\S+) => \S+ (\S+)$", text, re.MULTILINE))
    assert len(replaced) > 30
    assert set(replaced.values()) == {wanted}


def test_every_file_of_checksums_is_there() -> None:
    """Go takes no module whose checksum is not written down."""
    for module in (_FOLDER / "tools").iterdir():
        sums = (module / "go.sum").read_text(encoding="utf-8").splitlines()
        assert len(sums) > 100
        assert all(re.fullmatch(r"\S+ v\S+ h1:\S{43}=", line) for line in sums)


def test_what_the_api_server_changes_is_found() -> None:
    """A field that is dropped, changed, or completed to what no table names is named with its path."""
    ours = {"kind": "Service", "metadata": {"name": "x"}, "spec": {"ports": [{"port": 1}], "clusterIP": "None"}}
    theirs = {
        "kind": "Service",
        "metadata": {"name": "x", "uid": "7"},
        "spec": {"ports": [{"port": 2, "protocol": "TCP"}], "type": "NodePort"},
        "status": {"loadBalancer": {}},
    }
    assert list(lost(ours, theirs)) == ["spec.ports[].port is 2, not 1", "spec.clusterIP is gone; it was 'None'"]
    assert dict(added(ours, theirs)) == {"spec.ports[].protocol": "TCP", "spec.type": "NodePort"}
    assert list(unmeant(ours, theirs)) == ["spec.type is 'NodePort'"]
    assert list(lost({"a": [1]}, {"a": [1, 2]})) == ["a is [1, 2], not [1]"]
    assert list(lost({"a": {"b": 1}}, {"a": 1})) == ["a is 1, not {'b': 1}"]
