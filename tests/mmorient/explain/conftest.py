"""A post with everything in it, and its explanation."""

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.mmorient.conftest import encode

if TYPE_CHECKING:
    from mmorient import Moderator
    from mmorient.explain.case import Case

TEXT = (
    "oh GREAT, another #MondayMotivation \U0001f602 thanks @John_Doe: https://example.org/a?b=1 \u200b it\u2019s fine"
)


@pytest.fixture(scope="session")
def post(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A post with a text, two pictures, and between them a medium that nobody can use."""
    folder = tmp_path_factory.mktemp("post")
    random = np.random.default_rng(7)
    (folder / "a.png").write_bytes(encode(Image.fromarray(random.integers(0, 256, (60, 90, 3), dtype=np.uint8)), "PNG"))
    turned = Image.fromarray(random.integers(0, 256, (40, 100, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    data = base64.b64encode(encode(turned, "JPEG", exif=exif)).decode()
    media = [{"path": "a.png"}, {"url": "http://samples.invalid/b.png"}, {"data": data}]
    file = folder / "post.json"
    file.write_text(json.dumps({"id": "p-1", "text": TEXT, "media": media}, indent=1), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def case(post: Path, moderator: "Moderator") -> "Case":
    """Its explanation."""
    from mmorient.explain.case import read_case

    return read_case(post.read_bytes(), post.parent, moderator, neighbours=3, words=4)
