"""Pretrained models from a local folder in the Hugging Face layout; the hub is never asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from mmorient.config import HuggingFaceFolder
from mmorient.digest import file_digest
from mmorient.errors import CheckpointError
from mmorient.input.text import TextReader

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
PREPROCESSOR = "preprocessor_config.json"

_Model = TypeVar("_Model", bound=nn.Module)


def describe_folder(folder: Path, files: Sequence[str], *, base: Path | None = None) -> HuggingFaceFolder:
    """What ``config.json`` of a new checkpoint says of a folder.

    Args:
        folder: Where the files lie.
        files: Those that an encoder reads.
        base: The checkpoint's folder, for a folder inside it: the two can then be moved together.

    Raises:
        CheckpointError: A file is missing.
    """
    for name in files:
        if not (folder / name).is_file():
            raise CheckpointError(folder, f"lacks {name}")
    place = folder.resolve()
    if base is not None and place.is_relative_to(base.resolve()):
        place = place.relative_to(base.resolve())
    return HuggingFaceFolder(folder=place.as_posix(), files={name: file_digest(folder / name) for name in files})


def open_folder(config: HuggingFaceFolder, base: Path, *, kind: str, files: Sequence[str]) -> Path:
    """Find a folder and hold its files against their digests.

    Args:
        config: From ``config.json``.
        base: What a relative folder is relative to.
        kind: The ``model_type`` that its own ``config.json`` must name.
        files: Those that will be read; each must have a digest.

    Raises:
        CheckpointError: The folder or a file is missing, other, or of another model.
    """
    folder = base / config.folder
    check_files(config, folder, files)
    found_kind = read_json(folder / CONFIG).get("model_type")
    if found_kind != kind:
        raise CheckpointError(folder / CONFIG, f"model_type is {found_kind!r}, not {kind!r}")
    return folder


def check_files(config: HuggingFaceFolder, folder: Path, files: Sequence[str]) -> None:
    """Hold a folder's files against their digests.

    Raises:
        CheckpointError: The folder or a file is missing or other.
    """
    if not folder.is_dir():
        raise CheckpointError(folder, "no such folder")
    for name in files:
        if name not in config.files:
            raise CheckpointError(folder, f"the checkpoint names no digest of {name}")
        if not (folder / name).is_file():
            raise CheckpointError(folder, f"lacks {name}")
        if (found := file_digest(folder / name)) != config.files[name]:
            raise CheckpointError(folder / name, f"holds {found}, the checkpoint was made with {config.files[name]}")


def read_json(file: Path) -> dict[str, Any]:
    """An object in a JSON file.

    Raises:
        CheckpointError: It is something else.
    """
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:
        raise CheckpointError(file, f"not JSON: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(file, "not a JSON object")
    return content


def load_config(kind: Any, folder: Path) -> Any:
    """A configuration class of transformers, filled from a folder.

    Raises:
        CheckpointError: The class refuses what it reads.
    """
    try:
        return kind.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # transformers answers unusable files with exceptions of every sort
        raise CheckpointError(folder / CONFIG, one_line(error)) from error


def load_model(kind: type[_Model], folder: Path, config: Any, **options: bool) -> _Model:
    """A model class of transformers with the weights of a folder: all of its tensors, in their shapes, in fp32.

    Tensors that the class has no place for (the other tower, a classifier) are left where they are.

    Args:
        kind: A ``PreTrainedModel``.
        folder: Where its weights lie.
        config: Its configuration.
        options: Further arguments of the class.

    Raises:
        CheckpointError: A tensor is missing or of another shape, or the file is damaged.
    """
    file = folder / WEIGHTS
    try:
        with _quiet():
            model, found = cast("Any", kind).from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **options,
            )
    except Exception as error:  # as above
        raise CheckpointError(file, one_line(error)) from error
    for name, here, wanted in sorted(found["mismatched_keys"]):
        raise CheckpointError(file, f"{name} is {tuple(here)}, {CONFIG} asks for {tuple(wanted)}")
    for name in sorted(found["missing_keys"]):
        raise CheckpointError(file, f"lacks {name}")
    loaded: _Model = model.float().eval()
    return loaded


def load_reader(
    folder: Path, *, begin: str, end: str, vocabulary: int, window_tokens: int, between: str | None = None
) -> TextReader:
    """The folder's tokenizer.

    Args:
        folder: Holds ``tokenizer.json``.
        begin: The token that begins a window.
        end: The token that ends it.
        vocabulary: Tokens that the model knows: the tokenizer may not know more.
        window_tokens: The most tokens of a window.
        between: The token between a post's own text and what its media say; ``end`` by default.

    Raises:
        CheckpointError: It is no tokenizer, knows no such token, or too many.
    """
    file = folder / TOKENIZER
    try:
        reader = TextReader(file, window_tokens=window_tokens, begin=begin, end=end, between=between)
    except Exception as error:  # tokenizers raises bare ones
        raise CheckpointError(file, one_line(error)) from error
    if reader.vocabulary > vocabulary:
        raise CheckpointError(file, f"knows {reader.vocabulary} tokens, the model {vocabulary}")
    return reader


@dataclass(frozen=True, slots=True)
class PixelScale:
    """How a folder's ``preprocessor_config.json`` scales pixels.

    Attributes:
        side: Of the square in pixels: the size that pictures are cut to, or else their shorter side.
        mean: Of each channel, on 0..1.
        deviation: Of each channel, on 0..1.
    """

    side: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __call__(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        """``[b, h, w, 3]`` on 0..255 to ``[b, 3, h, w]`` as the model was trained on; computed in fp32."""
        mean = torch.tensor(self.mean, device=pixels.device)
        deviation = torch.tensor(self.deviation, device=pixels.device)
        return ((pixels.float() / 255 - mean) / deviation).permute(0, 3, 1, 2).to(dtype)


def read_scale(folder: Path) -> PixelScale:
    """Read ``preprocessor_config.json``.

    Raises:
        CheckpointError: It scales otherwise than CLIP and DETR do.
    """
    file = folder / PREPROCESSOR
    content = read_json(file)
    for switch in ("do_rescale", "do_normalize"):
        if not content.get(switch, True):
            raise CheckpointError(file, f"{switch} is off")
    if abs(content.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-6:
        raise CheckpointError(file, f"rescale_factor is {content['rescale_factor']}, not 1/255")
    size = content.get("crop_size") if content.get("do_center_crop", True) else None
    side = _side(size if size is not None else content.get("size"))
    if side is None:
        raise CheckpointError(file, f"names no side in pixels: {content.get('crop_size') or content.get('size')!r}")
    mean, deviation = (content.get(name) for name in ("image_mean", "image_std"))
    for name, values in (("image_mean", mean), ("image_std", deviation)):
        if not isinstance(values, list) or len(values) != 3 or not all(isinstance(one, int | float) for one in values):
            raise CheckpointError(file, f"{name} is {values!r}, not three numbers")
    return PixelScale(side, tuple(mean or ()), tuple(deviation or ()))


def _side(size: object) -> int | None:
    """Older files say 224; newer ones a height and a width, or the shorter side."""
    if isinstance(size, dict):
        if size.get("height") != size.get("width"):
            return None
        size = size.get("height", size.get("shortest_edge"))
    return size if isinstance(size, int) and size > 0 else None


def one_line(error: BaseException) -> str:
    """What an error says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) if lines else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no tables of tensors that are left where they are."""
    from transformers.utils import logging as untyped

    logging: Any = untyped
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
