"""What a checkpoint holds, in words: ``mmorient inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from mmorient.checkpointing.loading import load_checkpoint
from mmorient.config import Precision
from mmorient.digest import SHIPPED
from mmorient.labels import TASKS


def describe(path: Path | None = None) -> dict[str, Any]:
    """Read a checkpoint and tell of it.

    Args:
        path: Its folder; None is the one that comes with this package.

    Raises:
        CheckpointError: It cannot be used.
    """
    checkpoint = load_checkpoint(path or SHIPPED)
    config = checkpoint.config
    return {
        "name": config.name,
        "path": str(checkpoint.path),
        "format": config.format,
        "checkpoint": checkpoint.digest,
        "embedding": {precision: checkpoint.embedding_digest(precision) for precision in get_args(Precision)},
        "encoders": {
            # The architecture is a page long, and in config.json.
            "text": config.text_encoder.model_dump(exclude={"architecture": True, "companion": {"architecture"}}),
            "picture": config.picture_encoder.model_dump(exclude={"architecture": True, "companion": {"architecture"}}),
        },
        "head": config.head.model_dump(),
        "tiles": {device: tiles.model_dump() for device, tiles in config.tiles.items()},
        "files": {
            name: {"digest": digest, "bytes": (checkpoint.path / name).stat().st_size}
            for name, digest in config.files.items()
        },
        "parameters": {
            "embedding": sum(tensor.numel() for tensor in checkpoint.embedding.values()),
            "head": sum(tensor.numel() for tensor in checkpoint.head.values()),
        },
        "bank": {
            "posts": len(checkpoint.bank),
            "with_text": len(checkpoint.bank.text_index),
            "with_picture": len(checkpoint.bank.picture_index),
        },
        "tasks": {task.name: {"classes": task.classes, "degrees": task.degrees} for task in TASKS.values()},
        "calibration": checkpoint.calibration.model_dump()["heads"],
        "shares": checkpoint.calibration.model_dump()["shares"],
    }


def readable(description: dict[str, Any], indent: str = "") -> str:
    """The same for a person: one fact a line, indented by what it belongs to."""
    lines = []
    for name, value in description.items():
        if isinstance(value, dict) and any(isinstance(inner, dict) for inner in value.values()):
            lines += [f"{indent}{name}", readable(value, indent + "  ")]
        elif isinstance(value, dict):
            lines.append(f"{indent}{name}: " + ", ".join(f"{key} {_short(inner)}" for key, inner in value.items()))
        else:
            lines.append(f"{indent}{name}: {_short(value)}")
    return "\n".join(lines)


def _short(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
