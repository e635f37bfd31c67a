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
    tokenizers_of,
)
from mmorient.config import (
    Calibration,
    CheckpointConfig,
    FolderPictureConfig,
    FolderTextConfig,
    HuggingFaceFolder,
)
from mmorient.digest import CONFIG, file_digest
from mmorient.encoders.hugging_face import WEIGHTS
from mmorient.network.bank import Bank

ENCODERS = "encoders"
"""Folder beside a checkpoint's own, for encoders that several checkpoints may share."""
_NAME_DIGITS = 16


def save_checkpoint(
    path: Path,
    config: CheckpointConfig,
    calibration: Calibration,
    *,
    embedding: dict[str, Tensor],
    head: dict[str, Tensor],
    bank: Bank,
    tokenizer: bytes | None = None,
    global_tokenizer: bytes | None = None,
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
        global_tokenizer: Of its companion.
    """
    path.mkdir(parents=True, exist_ok=True)
    config, embedding = _laid_beside(path, config, embedding)
    tensors = {EMBEDDING: embedding, HEAD: head, BANK: {name: getattr(bank, name) for name in bank_fields()}}
    for file, own in tensors.items():
        save_file(_half(own), path / file)
        (path / file).chmod(0o644)  # safetensors lets its owner alone read, a worker's pod runs as another
    (path / CALIBRATION).write_text(_pretty(calibration), encoding="utf-8")
    for name, content in zip(tokenizers_of(config), (tokenizer, global_tokenizer), strict=False):
        if content is not None:
            (path / name).write_bytes(content)
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


def _laid_beside(
    path: Path, config: CheckpointConfig, embedding: dict[str, Tensor]
) -> tuple[CheckpointConfig, dict[str, Tensor]]:
    """Write encoders that are wanted beside the checkpoint, into folders that their digests name.

    Returns:
        The config that names them, and the tensors that stay inside.
    """
    for place in ("text_encoder", "picture_encoder"):
        encoder = getattr(config, place)
        if not isinstance(encoder, FolderTextConfig | FolderPictureConfig) or encoder.weights == "inside":
            continue
        own = {name: tensor for name, tensor in embedding.items() if name.startswith(f"{place}.")}
        embedding = {name: tensor for name, tensor in embedding.items() if name not in own}
        beside = path.parent / ENCODERS
        beside.mkdir(exist_ok=True)
        part = beside / f"{path.name}-{place}.part"
        save_file(_half({name.removeprefix(f"{place}."): tensor for name, tensor in own.items()}), part)
        part.chmod(0o644)
        digest = file_digest(part)
        folder = beside / digest.removeprefix("sha256:")[:_NAME_DIGITS]
        folder.mkdir(exist_ok=True)
        part.replace(folder / WEIGHTS)
        named = HuggingFaceFolder(folder=f"../{ENCODERS}/{folder.name}", files={WEIGHTS: digest})
        config = config.model_copy(update={place: encoder.model_copy(update={"folder": named})})
    return config, embedding


def _half(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in tensors.items()
    }


def _pretty(model: BaseModel) -> str:
    return json.dumps(model.model_dump(mode="json"), indent=2) + "\n"
