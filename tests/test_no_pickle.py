"""Nothing is unpickled or evaluated: what stands in a checkpoint, an entry or a record is numbers and text."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("worker", "mmorient", "schemas")
# What makes objects out of bytes, by code that stands in these bytes.
MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "yaml"}
CALLS = {"torch.load", "pandas.read_pickle", "pd.read_pickle", "torch.jit.load", "torch.hub.load"}
# Pretrained weights come from a pinned package as a file of torch, whose restricted reader knows tensors alone. Only
# `mmorient train` without a checkpoint to start from reads it.
ALLOWED = {"mmorient/training/fitting/pretrained.py": ["import pickle", "torch.load()"]}
BUILTINS = {"eval", "exec", "compile", "__import__"}


def faults(source: str) -> Iterator[str]:
    """Yield what a file does that none may do."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (f"import {name.name}" for name in node.names if name.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield f"from {node.module} import"
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in CALLS | BUILTINS or (called == "import_module" and _names_one(node)):
                yield f"{called}()"
            if any(keyword.arg == "allow_pickle" for keyword in node.keywords):
                yield f"{called}(allow_pickle)"


def _names_one(call: ast.Call) -> bool:
    first = call.args[0] if call.args else None
    return isinstance(first, ast.Constant) and str(first.value).split(".")[0] in MODULES


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_unpickles_or_evaluates(package: str) -> None:
    """By its source."""
    found = {
        str(file.relative_to(ROOT)): wrong
        for file in sorted((ROOT / package).rglob("*.py"))
        if (wrong := list(faults(file.read_text(encoding="utf-8"))))
    }
    assert found == {file: wrong for file, wrong in ALLOWED.items() if file.startswith(package)}
    for file in found:
        assert "weights_only=True" in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from pickle import loads", "torch.load(f)", "eval(text)", "np.load(f, allow_pickle=True)",
     "import_module('dill')", "import yaml"],
)  # fmt: skip
def test_each_of_them_is_found(source: str) -> None:
    """The test above would see it."""
    assert list(faults(source))


RUN = """
import io, json, pickle, sys

def refuse(*_, **__):
    raise SystemExit("unpickled")

import torch
pickle.load = pickle.loads = pickle.Unpickler = torch.load = refuse
# However it is called, in C too: whatever a pickle makes, it has to look up.
sys.addaudithook(lambda event, arguments: refuse() if event == "pickle.find_class" else None)
from mmorient.__main__ import main
sys.stdin = io.TextIOWrapper(io.BytesIO(json.dumps({"id": "1", "text": "oh great, another monday"}).encode()))
sys.argv = ["mmorient", "label", "-"]
main()
"""
CONTROL = """
import sys
sys.addaudithook(lambda event, arguments: sys.exit("unpickled") if event == "pickle.find_class" else None)
import _pickle, fractions, pickle
_pickle.loads(pickle.dumps(fractions.Fraction(1, 2)))
"""


@pytest.mark.model
def test_a_checkpoint_is_loaded_and_posts_are_labelled_without_a_pickle() -> None:
    """With all that unpickles replaced by what ends the process."""
    ran = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    assert '"sarcasm"' in ran.stdout


def test_an_audit_sees_a_pickle() -> None:
    """Else the test above would show nothing."""
    ran = subprocess.run([sys.executable, "-c", CONTROL], capture_output=True, text=True, check=False)
    assert ran.stderr.strip() == "unpickled"


def test_no_module_that_unpickles_is_loaded_by_the_events_or_the_decoders() -> None:
    """What reads strangers' bytes in a process of its own, and what describes events."""
    script = "import sys, schemas, worker.labelling.sandbox.child; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"cloudpickle", "dill", "joblib", "shelve", "yaml"} & set(ran.stdout.split())
