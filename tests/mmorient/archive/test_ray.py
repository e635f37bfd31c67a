"""The same labelling on a local Ray of two workers."""

import base64
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.mmorient.archive.archives import write_lines, write_parquet
from tests.mmorient.conftest import Run, encode

pytestmark = pytest.mark.soak


def test_two_workers_write_the_bytes_of_one_process(run: Run, tmp_path: Path, untrained: Path) -> None:
    """Over files of several forms, chunks and refusals, up to where one breaks off; Ray itself says nothing."""
    posts = [{"id": f"{one}", "text": f"number {one} " * (one % 40 + 1)} for one in range(150)]
    # Of pictures the last bits once depended on the number of threads, which Ray sets to one.
    noise = [Image.effect_noise((300, 200), 20 + one).convert("RGB") for one in range(8)]
    inline = [base64.b64encode(encode(one, "PNG")).decode() for one in noise]
    pictures = [{"id": f"n-{number}", "media": [{"data": data}]} for number, data in enumerate(inline)]
    write_lines(tmp_path / "in" / "1.jsonl", [*posts[:-8], *pictures, b"not json", b'{"id": "2"}'])
    write_parquet(tmp_path / "in" / "2.parquet", posts[:90], rows=20)
    cut = write_lines(tmp_path / "in" / "3.jsonl.gz", [b"not json", *posts])
    cut.write_bytes(cut.read_bytes()[:-30])
    arguments = ["label", str(tmp_path / "in"), "--checkpoint", str(untrained), "--output"]
    one = run(*arguments, tmp_path / "one.jsonl")
    on_ray = [sys.executable, "-m", "mmorient", *arguments, str(tmp_path / "two.jsonl"), "--ray", "2"]
    two = subprocess.run(on_ray, cwd=Path(__file__).parents[3], check=False, capture_output=True, text=True)
    assert two.stderr.replace("two.jsonl", "one.jsonl") == one.err
    assert two.returncode == one.code == 1
    assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    assert len((tmp_path / "two.jsonl").read_text().splitlines()) == 240 + 2 * 64 - 1
    assert f"{cut}: cannot be read" in two.stderr.splitlines()[-1]
