"""A second checkpoint for tests: the shipped one with other temperatures, and so with a digest of its own."""

import hashlib
import json
import shutil
from pathlib import Path

SHIPPED = Path(__file__).parent.parent.parent / "mmorient" / "checkpoints" / "compact"


def digest(file: Path) -> str:
    """Return `sha256:…` of a file."""
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


def recalibrated(folder: Path, factor: float = 1.5) -> Path:
    """Fill `folder` with a checkpoint that is less sure of everything than the shipped one; return it."""
    folder.mkdir(parents=True)
    for file in SHIPPED.iterdir():
        if file.suffix == ".json":
            shutil.copyfile(file, folder / file.name)
        else:
            (folder / file.name).symlink_to(file)
    calibration = json.loads((folder / "calibration.json").read_text(encoding="utf-8"))
    for heads in calibration["heads"].values():
        for head in heads.values():
            head["temperature"] *= factor
    (folder / "calibration.json").write_text(json.dumps(calibration), encoding="utf-8")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["files"]["calibration.json"] = digest(folder / "calibration.json")
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def stamp_of(folder: Path) -> str:
    """Return what the labels of a checkpoint say of it."""
    return digest(folder / "config.json")
