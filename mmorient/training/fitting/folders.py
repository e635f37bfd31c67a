"""Encoders out of local folders in the Hugging Face layout, as a new checkpoint names them; the hub is never asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn

from mmorient.config import FolderPictureConfig, FolderTextConfig
from mmorient.digest import file_digest
from mmorient.encoders.families import (
    PICTURES,
    TEXTS,
    PictureFamily,
    TextFamily,
    architecture_of,
    class_of,
    config_of,
    whole_config,
)
from mmorient.encoders.folder_picture import FolderPicture
from mmorient.encoders.folder_text import FolderText
from mmorient.encoders.hugging_face import (
    CONFIG,
    PREPROCESSOR,
    TOKENIZER,
    WEIGHTS,
    load_model,
    one_line,
    read_json,
    read_scale,
)
from mmorient.encoders.projection import Projection
from mmorient.errors import CheckpointError, DataError
from mmorient.input.formats.source import PICTURE_VERSION
from mmorient.input.text import TEXT_VERSION, WINDOW_TOKENS
from mmorient.training.config import TrainConfig
from mmorient.training.fitting.fastbpe import CODES, bertweet_tokenizer

OWN_TOKENIZER, GLOBAL_TOKENIZER = "tokenizer.json", "global_tokenizer.json"
_MASKS = ("[MASK]", "<mask>")


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the encoders of a run lie.

    Attributes:
        text: Of the token states.
        picture: Of the region states.
        both: A CLIP whose vectors are the global ones of both modalities, None where they are the encoders' own.
    """

    text: Path
    picture: Path
    both: Path | None = None

    @classmethod
    def of(cls, config: TrainConfig) -> Folders:
        """Those that a configuration names.

        Raises:
            CheckpointError: One is missing.
            DataError: One of the two is not named.
        """
        named = {"text": config.text_encoder, "picture": config.picture_encoder, "both": config.global_encoder}
        folders = {name: Path(folder) for name, folder in named.items() if folder}
        if not {"text", "picture"} <= folders.keys():
            raise DataError("text_encoder and picture_encoder are named together")
        for folder in folders.values():
            if not folder.is_dir():
                raise CheckpointError(folder, "no such folder")
        return cls(**folders)

    def digests(self) -> dict[str, str]:
        """What the folders hold: a run goes on with the same weights alone."""
        found: dict[str, str] = {}
        for place, folder in (("text", self.text), ("picture", self.picture), ("both", self.both)):
            files = [] if folder is None else sorted([*folder.glob("*.safetensors"), *folder.glob("*.json")])
            found |= {f"{place}/{file.name}": file_digest(file) for file in files}
        return found


@dataclass(frozen=True, slots=True)
class Encoders:
    """Both encoders as they were read, with their weights rounded to what a checkpoint stores.

    Attributes:
        mask_token: Number of the token that hides another, None where there is none.
        tokenizer: ``tokenizer.json`` of the text encoder.
        global_tokenizer: Of its companion.
    """

    text_config: FolderTextConfig
    picture_config: FolderPictureConfig
    text: FolderText
    picture: FolderPicture
    mask_token: int | None
    tokenizer: bytes
    global_tokenizer: bytes | None


def read_folders(folders: Folders, config: TrainConfig, work: Path) -> Encoders:
    """Read both encoders.

    Args:
        folders: Where they lie.
        config: Framing, side, widths, languages.
        work: Tokenizers are laid there, as a checkpoint's folder has them.

    Raises:
        CheckpointError: A folder holds no encoder of a known family, or not all of it.
    """
    work.mkdir(parents=True, exist_ok=True)
    text_config, text = _read_text(folders.text, OWN_TOKENIZER, config, work)
    picture_config, picture = _read_picture(folders.picture, config, config.side_pixels)
    texts: dict[str, Any] = {"weights": config.encoder_weights}
    pictures = dict(texts)
    if folders.both is not None:
        texts["companion"], text.companion = _read_text(folders.both, GLOBAL_TOKENIZER, config, work)
        pictures["companion"], picture.companion = _read_picture(folders.both, config, 0)
        text.global_width, picture.raw_width = text.companion.global_width, picture.companion.raw_width
        picture.global_width = picture.raw_width
    shared = (text_config if folders.both is None else texts["companion"]).family == "clip"
    shared &= (picture_config if folders.both is None else pictures["companion"]).family == "clip"
    if folders.both is not None and not shared:
        raise CheckpointError(folders.both, "is no CLIP: texts and pictures have no space in common")
    if not shared:
        width = min(config.global_width, text.raw_width, picture.raw_width)
        for encoder, changes in ((text, texts), (picture, pictures)):
            encoder.projection, encoder.global_width = Projection(encoder.raw_width, width), width
            changes["projected"] = True
    if text.global_width != picture.global_width:
        raise CheckpointError(
            folders.picture, f"global vectors of {picture.global_width}, of texts {text.global_width}"
        )
    global_file = work / GLOBAL_TOKENIZER
    return Encoders(
        text_config.model_copy(update=texts | {"global_width": text.global_width}),
        picture_config.model_copy(update=pictures | {"global_width": picture.global_width}),
        text,
        picture,
        mask_token(work / OWN_TOKENIZER),
        (work / OWN_TOKENIZER).read_bytes(),
        global_file.read_bytes() if folders.both is not None else None,
    )


@torch.no_grad()
def rounded(encoder: Any) -> Any:
    """An encoder whose weights are what fp16 can say, in place: features and checkpoints hold the same.

    Raises:
        ValueError: A weight is too large for fp16.
    """
    for name, tensor in encoder.state_dict().items():
        if tensor.is_floating_point():
            half = tensor.half().float()
            if not half.isfinite().all():
                raise ValueError(f"{name} does not fit fp16")
            tensor.copy_(half)
    return encoder


def _read_text(folder: Path, name: str, config: TrainConfig, work: Path) -> tuple[FolderTextConfig, FolderText]:
    family, kind, content = _family(folder, TEXTS)
    sizes, whole = _sizes(folder, family, content)
    known = _lay_tokenizer(folder, work / name, sizes.vocab_size)
    begin, end = _ends(folder, family, work / name)
    reserved = sizes.pad_token_id + 1 if family.offset_positions else 0
    described = FolderTextConfig(
        family=kind,
        architecture=architecture_of(whole),
        tokenizer=name,
        begin=begin,
        end=end,
        between=begin if family.between == "begin" else end,
        lead=_lead(work / name),
        window_tokens=min(sizes.max_position_embeddings - reserved, WINDOW_TOKENS),
        known_tokens=known,
        preprocessing=TEXT_VERSION,
        beside=True,
        languages=config.languages,
        state_width=sizes.hidden_size,
        global_width=sizes.projection_dim if kind == "clip" else sizes.hidden_size,
    )
    return described, _filled(folder, family, sizes, lambda: FolderText(described, work))


def _read_picture(folder: Path, config: TrainConfig, side: int) -> tuple[FolderPictureConfig, FolderPicture]:
    family, kind, content = _family(folder, PICTURES)
    if not (folder / PREPROCESSOR).is_file():
        raise CheckpointError(folder, f"lacks {PREPROCESSOR}")
    scale = read_scale(folder)
    sizes, whole = _sizes(folder, family, content)
    described = FolderPictureConfig(
        family=kind,
        architecture=architecture_of(whole),
        preprocessing=PICTURE_VERSION,
        side_pixels=side or scale.side,
        framing=config.framing,
        mean=scale.mean,
        deviation=scale.deviation,
        state_width=1,
        global_width=1,
    )
    encoder = _filled(folder, family, sizes, lambda: FolderPicture(described))
    widths = {"state_width": encoder.state_width, "global_width": encoder.raw_width}
    return described.model_copy(update=widths), encoder


def _family(folder: Path, families: dict[str, Any]) -> tuple[Any, str, dict[str, Any]]:
    if not (folder / CONFIG).is_file():
        raise CheckpointError(folder, f"lacks {CONFIG}")
    content = read_json(folder / CONFIG)
    kind = str(content.get("model_type"))
    if kind not in families:
        raise CheckpointError(folder / CONFIG, f"model_type is {kind!r}, none of {', '.join(families)}")
    return families[kind], kind, content


def _sizes(folder: Path, family: TextFamily | PictureFamily, content: dict[str, Any]) -> tuple[Any, Any]:
    try:
        return config_of(family, content), whole_config(family, content)
    except ValueError as error:
        raise CheckpointError(folder / CONFIG, str(error)) from error


def _filled(folder: Path, family: TextFamily | PictureFamily, sizes: Any, build: Any) -> Any:
    """The encoder with the folder's weights, whose names transformers alone knows in all their versions."""
    if not any(folder.glob("*.safetensors")):
        raise CheckpointError(folder, f"lacks {WEIGHTS}: weights are read from safetensors alone")
    loaded: nn.Module = load_model(class_of(family), folder, sizes, **dict(family.options))
    try:
        encoder = build()
    except ValueError as error:
        raise CheckpointError(folder, str(error)) from error
    encoder.model.load_state_dict(loaded.state_dict())
    try:
        return rounded(encoder.eval())
    except ValueError as error:
        raise CheckpointError(folder / WEIGHTS, str(error)) from error


def _lay_tokenizer(folder: Path, file: Path, vocabulary: int) -> int | None:
    """Write ``tokenizer.json``, made of what the folder has; return how many tokens the model knows, if not all."""
    if (folder / TOKENIZER).is_file():
        file.write_bytes((folder / TOKENIZER).read_bytes())
        return None
    if (folder / CODES).is_file():
        tokenizer, known = bertweet_tokenizer(folder)
        tokenizer.save(str(file))
        return known
    from transformers import AutoTokenizer

    try:
        found = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        size = found.backend_tokenizer.get_vocab_size()
    except Exception as error:  # transformers raises exceptions of every sort, one where sentencepiece is missing
        raise CheckpointError(folder, f"lacks {TOKENIZER}, and none can be made: {one_line(error)}") from error
    # Of a folder without any tokenizer, transformers makes one that knows nothing.
    if size < vocabulary / 2:
        raise CheckpointError(
            folder, f"lacks {TOKENIZER}, and none can be made: it knows {size} tokens of {vocabulary}"
        )
    found.backend_tokenizer.save(str(file))
    return None


def _open(file: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises bare ones
        raise CheckpointError(file, one_line(error)) from error


def _ends(folder: Path, family: TextFamily, tokenizer: Path) -> tuple[str, str]:
    """The tokens that begin and end a text: the folder's, where it says and knows them, else the family's."""
    file = folder / "tokenizer_config.json"
    said = read_json(file) if file.is_file() and family.between != "begin" else {}
    own = _open(tokenizer)
    found = []
    for field, usual in (("cls_token", family.begin), ("sep_token", family.end)):
        token = said.get(field)
        token = token.get("content") if isinstance(token, dict) else token
        found.append(token if isinstance(token, str) and own.token_to_id(token) is not None else usual)
    return found[0], found[1]


def _lead(tokenizer: Path) -> str:
    """What must stand before a word alone, so that its tokens are those that it has behind another word."""
    own = _open(tokenizer)

    def ids(text: str) -> list[int]:
        return list(own.encode(text, add_special_tokens=False).ids)

    behind = ids("rain rain")[len(ids("rain")) :]
    return next((lead for lead in ("", " ") if ids(f"{lead}rain") == behind), "")


def mask_token(tokenizer: Path) -> int | None:
    """Number of the token that hides another, None where there is none."""
    own = _open(tokenizer)
    return next((number for token in _MASKS if (number := own.token_to_id(token)) is not None), None)
