"""A checkpoint onto the disk: fp16, safetensors and JSON, with the digests that hold it together."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel
from safetensors.torch import save_file
from torch import Tensor

from mmorient.checkpointing.loading import (
    BANK,
    CALIBRATION,
    EMBEDDING,
    HEAD,
    bank_fields,
    digested_files,
    load_checkpoint,
    tokenizer_of,
)
from mmorient.config import Calibration, CheckpointConfig
from mmorient.digest import CONFIG, file_digest
from mmorient.network.bank import Bank


def save_checkpoint(
    path: Path,
    config: CheckpointConfig,
    calibration: Calibration,
    *,
    embedding: dict[str, Tensor],
    head: dict[str, Tensor],
    bank: Bank,
    tokenizer: bytes | None = None,
) -> None:
    """Write a checkpoint; the digests in ``config.files`` are filled in here.

    Args:
        path: The folder, made where it is missing.
        config: With any ``files``.
        calibration: Temperatures and biases.
        embedding: Tensors of ``text_encoder.``, ``picture_encoder.``, ``text_attention.``, ``picture_attention.``.
        head: State of ``MmOrient``.
        bank: The reference posts.
        tokenizer: Of a text encoder that lies in the checkpoint itself.
    """
    path.mkdir(parents=True, exist_ok=True)
    tensors = {EMBEDDING: embedding, HEAD: head, BANK: {name: getattr(bank, name) for name in bank_fields()}}
    for file, own in tensors.items():
        save_file(_half(own), path / file)
        (path / file).chmod(0o644)  # safetensors lets its owner alone read, a worker's pod runs as another
    (path / CALIBRATION).write_text(_pretty(calibration), encoding="utf-8")
    if tokenizer is not None and (name := tokenizer_of(config)) is not None:
        (path / name).write_bytes(tokenizer)
    files = {name: file_digest(path / name) for name in digested_files(config)}
    (path / CONFIG).write_text(_pretty(config.model_copy(update={"files": files})), encoding="utf-8")


def save_calibration(path: Path, calibration: Calibration) -> None:
    """Put another calibration into a checkpoint, which thereby becomes another one: its digest changes.

    Raises:
        CheckpointError: There is no checkpoint.
    """
    config = load_checkpoint(path).config
    (path / CALIBRATION).write_text(_pretty(calibration), encoding="utf-8")
    files = config.files | {CALIBRATION: file_digest(path / CALIBRATION)}
    (path / CONFIG).write_text(_pretty(config.model_copy(update={"files": files})), encoding="utf-8")


def _half(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in tensors.items()
    }


def _pretty(model: BaseModel) -> str:
    return json.dumps(model.model_dump(mode="json"), indent=2) + "\n"
