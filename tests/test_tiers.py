"""Every test is in one tier; `make check` reads no file that loads torch; the Makefile and CI know the tiers."""

import ast
import json
import os
import subprocess
import sys
from itertools import chain, combinations
from pathlib import Path

import pytest

from tests.tier_files import possible_tiers
from tests.tiers import HEAVY, ROOT, SOURCES, TIERS, Sources, WrongTierError, refuse, tier_of

# Those of tests/kubernetes are in no tier: `make kubernetes` has them.
TESTS = sorted(path for path in (ROOT / "tests").rglob("test_*.py") if "kubernetes" not in path.parts)
CONFTESTS = sorted((ROOT / "tests").rglob("conftest.py"))


def collected(folder: Path, *arguments: str) -> dict[str, list[str]]:
    """Return the marks of every test that a run with these arguments takes, as pytest itself finds them."""
    out = folder / f"{'-'.join(arguments) or 'all'}.json"
    plugin = "import json\ndef pytest_collection_finish(session):\n    found = {one.nodeid: [mark.name for mark in "
    plugin += f"one.iter_markers()] for one in session.items}}\n    open({str(out)!r}, 'w').write(json.dumps(found))\n"
    (folder / "writes_marks.py").write_text(plugin, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "writes_marks", "-p", "no:cacheprovider"]
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found: dict[str, list[str]] = json.loads(out.read_text(encoding="utf-8"))
    return found


def test_every_set_of_marks_has_one_tier() -> None:
    """`soak` wins; what needs neither a server nor the model, and takes no seconds, is in `check`."""
    marks = ("server", "model", "slow", "soak", "timeout")
    for some in chain.from_iterable(combinations(marks, count) for count in range(len(marks) + 1)):
        expected = "soak" if "soak" in some else "test" if {"server", "model", "slow"} & set(some) else "check"
        assert tier_of(some) == expected
        assert tier_of(some) in TIERS


@pytest.mark.model
@pytest.mark.soak
def test_the_tiers_hold_every_test_once(tmp_path: Path) -> None:
    """What `check` collects, without importing the files of other tiers, is what it would have chosen from all.

    The same holds of every tier: no file has a test that its text does not tell of.
    A run that asks for no tier takes all tests, those of every tier together.
    """
    everything = collected(tmp_path)
    check = collected(tmp_path, "--tier", "check")
    counts = {tier: sum(tier_of(marks) == tier for marks in everything.values()) for tier in TIERS}
    assert check.keys() == {name for name, marks in everything.items() if tier_of(marks) == "check"}
    assert sum(counts.values()) == len(everything)
    assert all(counts.values()), counts
    for path in TESTS:
        own = {tier_of(marks) for name, marks in everything.items() if ROOT / name.split("::")[0] == path}
        assert own <= possible_tiers(path, SOURCES), path
    files = {name.split("::")[0] for name in everything}
    assert files == {str(path.relative_to(ROOT)) for path in TESTS}


@pytest.mark.parametrize("path", CONFTESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_tests_share_loads_no_torch(path: Path) -> None:
    """A conftest is read for tests of every tier."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    assert SOURCES.loaded_by(module) == set()


def test_lazy_and_named_imports_are_followed(tmp_path: Path) -> None:
    """Through helpers, packages, this project's names that load on first use, and a test's own body; not further."""
    files = {
        "tests/test_plain.py": "import json\nfrom tests.helper import later",
        "tests/test_by_a_helper.py": "from tests import heavy",
        "tests/test_by_a_name.py": "from mmorient import Moderator",
        "tests/test_in_its_body.py": "def test():\n    import torch",
        "tests/test_for_types.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch",
        "tests/helper.py": "def later():\n    import torch",
        "tests/heavy.py": "from torch.nn import Module",
        "mmorient/__init__.py": "",
        "mmorient/moderator.py": "import torch",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    sources = Sources(tmp_path)
    heavy = {path.stem for path in tmp_path.rglob("test_*.py") if sources.heavy(path)}
    assert heavy == {"test_by_a_helper", "test_by_a_name", "test_in_its_body"}


def test_a_file_tells_which_tiers_it_has_tests_in(tmp_path: Path) -> None:
    """By its marks and by fixtures of fixtures; where cases or fixtures are not known, more are possible."""
    fixture = "import pytest\n@pytest.fixture"
    files = {
        "tests/conftest.py": f"{fixture}\ndef servers(): ...\n@pytest.fixture\ndef stream(servers): ...\n",
        "tests/test_plain.py": "def test(tmp_path): ...",
        "tests/test_servers.py": "def test(stream): ...",
        "tests/test_all_of_it.py": "import pytest\npytestmark = [pytest.mark.slow]\ndef test(tmp_path): ...",
        "tests/test_by_marks.py": "import pytest\n@pytest.mark.soak\ndef test(): ...\ndef test_other(): ...",
        "tests/test_numbers.py": "import pytest\n@pytest.mark.parametrize('one', [1, 2])\ndef test(one): ...",
        "tests/test_cases.py": "import pytest\n@pytest.mark.parametrize('one', CASES)\ndef test(one): ...",
        "tests/test_used.py": "import pytest\n@pytest.mark.usefixtures('stream')\ndef test(): ...",
        "tests/test_unknown.py": "from there import pages\ndef test(pages, stream): ...",
        "tests/test_its_own.py": f"{fixture}\ndef stream(): ...\ndef test(stream): ...",
        "tests/test_one_more.py": f"{fixture}\ndef stream(stream): ...\ndef test(stream): ...",
        "tests/test_automatic.py": f"{fixture}(autouse=True)\ndef one(servers): ...\ndef test(): ...",
        "tests/test_torch.py": "import torch\ndef test(): ...",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    sources = Sources(tmp_path)
    found = {path.stem: possible_tiers(path, sources, tmp_path) for path in tmp_path.rglob("test_*.py")}
    assert found == {
        "test_plain": {"check"},
        "test_servers": {"test"},
        "test_all_of_it": {"test"},
        "test_by_marks": {"check", "soak"},
        "test_numbers": {"check"},
        "test_cases": {"check", "test", "soak"},
        "test_used": {"test"},
        "test_unknown": {"test", "soak"},
        "test_its_own": {"check"},
        "test_one_more": {"test"},
        "test_automatic": {"test"},
        "test_torch": {"test"},
    }


def test_check_refuses_torch_and_servers() -> None:
    """A test that was put into the wrong tier fails with the mark that it needs."""
    for name in HEAVY:
        with pytest.raises(WrongTierError, match="mark it `model`"):
            refuse("import", (name, None, None, None, None))
    with pytest.raises(WrongTierError, match="mark it `server`"):
        refuse("subprocess.Popen", ("/bin/redis-server", ["/bin/redis-server", "--port", "1"], None, None))
    with pytest.raises(WrongTierError, match="mark it `model`"):
        refuse("subprocess.Popen", ("python", ["python", "-m", "worker.isolation.trial_child"], None, None))
    refuse("import", ("json", None, None, None, None))
    refuse("subprocess.Popen", ("true", ["true"], None, None))


def test_the_tools_run_the_tiers() -> None:
    """The Makefile has a target for each, `make test` runs `check` first, and CI runs all."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for tier in TIERS:
        assert f"\n{tier}: " in makefile
        assert f"--tier {tier}" in makefile
    assert "\ntest: check " in makefile
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test\n" in script


def test_the_slow_are_marked_where_they_stand() -> None:
    """A test that asks for more time than any other has by default is marked `soak`, in its file or its module."""
    for path in TESTS:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        marks = [
            one.value
            for one in tree.body
            if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "pytestmark"
        ]
        whole = [ast.unparse(one) for one in marks]
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                said = " ".join([*whole, *map(ast.unparse, node.decorator_list)])
                asked_for = "EXAMPLES" in said  # as long as whoever asks for more examples wants
                assert "mark.timeout" not in said or asked_for or "mark.soak" in said, f"{path}: {node.name}"


@pytest.mark.soak
def test_types_hold_where_all_is_followed(tmp_path: Path) -> None:
    """`make check` passes over the types of some libraries, which take it longer than all others together."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    skipped = 'follow_imports = "skip"\n'
    assert text.count(skipped) == 1
    (tmp_path / "pyproject.toml").write_text(text.replace(skipped, skipped.replace("skip", "silent")), encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", tmp_path / "pyproject.toml"]
    done = subprocess.run(
        [*command, "--cache-dir", tmp_path / "cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
