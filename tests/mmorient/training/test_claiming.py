"""A work folder holds one run."""

from pathlib import Path

import pytest

from mmorient.errors import DataError
from mmorient.training.data.examples import Example
from mmorient.training.fitting.claiming import claim_folder, digest_of, digest_of_pictures


def test_a_run_that_an_earlier_version_began_goes_on(tmp_path: Path) -> None:
    """It did not note all that this one does; what it did note must be the same, and what a picture holds counts."""
    noted = {"configuration": {"seed": 0, "take": {"a": 1}}, "data": "sha256:1"}
    claim_folder(tmp_path, noted)
    new: dict[str, object] = {
        "configuration": {"seed": 0, "take": {"a": 1}, "new": "field"},
        "data": "sha256:1",
        "pictures": "sha256:2",
    }
    claim_folder(tmp_path, new)
    others: tuple[tuple[dict[str, object], str], ...] = (
        ({"configuration": {"seed": 0, "take": {"a": 1, "b": 2}, "new": "field"}}, "another configuration;"),
        ({"configuration": {"seed": 0, "take": {"a": 1}, "new": "other"}}, "another configuration;"),
        ({"data": "sha256:0", "pictures": "sha256:0"}, "another data and pictures;"),
    )
    for changed, said in others:
        with pytest.raises(DataError, match=said):
            claim_folder(tmp_path, new | changed)
    (tmp_path / "run.json").write_text("torn")
    with pytest.raises(DataError, match="another configuration and data and pictures;"):
        claim_folder(tmp_path, new)


def test_a_picture_counts_by_what_it_holds(tmp_path: Path) -> None:
    """Another one of the same name and size makes another run."""
    picture = tmp_path / "a.png"
    digests = []
    for content in (b"one", b"two"):
        picture.write_bytes(content)
        example = Example("ours", "train", "text", picture, {})
        digests.append((digest_of([example]), digest_of_pictures([example, example])))
    assert digests[0][0] == digests[1][0]
    assert digests[0][1] != digests[1][1]
