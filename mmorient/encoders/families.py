"""The families of encoders that a local folder may hold: which class of transformers each is, and what it gives.

A class is never looked up by what a folder says: no folder brings code.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import Tensor, nn

# Entries of a folder's config.json that change no number, or that differ from machine to machine.
_ASIDE = (
    "_name_or_path",
    "architectures",
    "attn_implementation",
    "dtype",
    "id2label",
    "label2id",
    "torch_dtype",
    "transformers_version",
)

Give = Callable[[Any, Any], tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class TextFamily:
    """Text encoders of one ``model_type``.

    Attributes:
        config: Class of its configuration.
        model: Class of the encoder.
        options: Of the class.
        begin: The token that begins a text, where the folder does not say.
        end: The token that ends it.
        between: Begins or ends what stands behind a post's own text: ``begin`` or ``end``.
        offset_positions: Positions begin behind that of padding.
        part: Of the configuration; all of it where empty.
    """

    config: str
    model: str
    options: tuple[tuple[str, bool], ...] = ()
    begin: str = "[CLS]"
    end: str = "[SEP]"
    between: str = "end"
    offset_positions: bool = False
    part: str = ""


_NO_POOLER = (("add_pooling_layer", False),)
TEXTS: dict[str, TextFamily] = {
    "bert": TextFamily("BertConfig", "BertModel", _NO_POOLER),
    "clip": TextFamily(
        "CLIPConfig",
        "CLIPTextModelWithProjection",
        begin="<|startoftext|>",
        end="<|endoftext|>",
        # CLIP's global vector is that of the first token that ends a text.
        between="begin",
        part="text_config",
    ),
    "deberta": TextFamily("DebertaConfig", "DebertaModel"),
    "deberta-v2": TextFamily("DebertaV2Config", "DebertaV2Model"),
    "modernbert": TextFamily("ModernBertConfig", "ModernBertModel"),
    "roberta": TextFamily("RobertaConfig", "RobertaModel", _NO_POOLER, "<s>", "</s>", offset_positions=True),
    "xlm-roberta": TextFamily("XLMRobertaConfig", "XLMRobertaModel", _NO_POOLER, "<s>", "</s>", offset_positions=True),
}
"""By ``model_type``. DeBERTa-v3 and BERTweet name themselves ``deberta-v2`` and ``roberta``."""


@dataclass(frozen=True, slots=True)
class PictureFamily:
    """Picture encoders of one ``model_type``.

    Attributes:
        config: Class of its configuration.
        model: Class of the encoder.
        give: The model and its output to region states ``[b, R, Dr]`` and global vectors ``[b, D]``.
        options: Of the class.
        part: Of the configuration; all of it where empty.
        fixed: Whether it reads squares of ``image_size`` pixels alone.
        shared: Whether its global vectors share a space with those of texts, so that they are never projected.
        grid: Whether its regions tile the picture.
    """

    config: str
    model: str
    give: Give
    options: tuple[tuple[str, bool], ...] = ()
    part: str = ""
    fixed: bool = True
    shared: bool = False
    grid: bool = True


def _class_token_first(model: Any, found: Any) -> tuple[Tensor, Tensor]:
    states = found.last_hidden_state
    registers = getattr(model.config, "num_register_tokens", 0)
    return states[:, 1 + registers :], states[:, 0]


def _clip(_: Any, found: Any) -> tuple[Tensor, Tensor]:
    return found.last_hidden_state[:, 1:], found.image_embeds


def _pooled(_: Any, found: Any) -> tuple[Tensor, Tensor]:
    return found.last_hidden_state, found.pooler_output


def _maps(_: Any, found: Any) -> tuple[Tensor, Tensor]:
    return found.last_hidden_state.flatten(2).transpose(1, 2), found.pooler_output  # [b, d, h, w] -> [b, h w, d]


def _queries(_: Any, found: Any) -> tuple[Tensor, Tensor]:
    return found.last_hidden_state, found.last_hidden_state.mean(1)


PICTURES: dict[str, PictureFamily] = {
    "clip": PictureFamily("CLIPConfig", "CLIPVisionModelWithProjection", _clip, part="vision_config", shared=True),
    "convnext": PictureFamily("ConvNextConfig", "ConvNextModel", _maps, fixed=False),
    "convnextv2": PictureFamily("ConvNextV2Config", "ConvNextV2Model", _maps, fixed=False),
    "detr": PictureFamily("DetrConfig", "DetrModel", _queries, fixed=False, grid=False),
    "dinov2": PictureFamily("Dinov2Config", "Dinov2Model", _class_token_first, fixed=False),
    "dinov2_with_registers": PictureFamily(
        "Dinov2WithRegistersConfig", "Dinov2WithRegistersModel", _class_token_first, fixed=False
    ),
    "siglip": PictureFamily("SiglipConfig", "SiglipVisionModel", _pooled, part="vision_config"),
    "vit": PictureFamily("ViTConfig", "ViTModel", _class_token_first, _NO_POOLER),
}
"""By ``model_type``."""


def whole_config(family: TextFamily | PictureFamily, architecture: dict[str, Any]) -> Any:
    """A folder's configuration, as transformers has it.

    Raises:
        ValueError: It is none of this family.
    """
    try:
        return getattr(transformers, family.config).from_dict(dict(architecture))
    except Exception as error:  # transformers answers unusable values with exceptions of every sort
        raise ValueError(f"not a {family.config}: {' '.join(str(error).split())[:200]}") from error


def config_of(family: TextFamily | PictureFamily, architecture: dict[str, Any]) -> Any:
    """The configuration of the encoder itself.

    Raises:
        ValueError: It is none of this family.
    """
    whole = whole_config(family, architecture)
    own = getattr(whole, family.part) if family.part else whole
    if backbone := getattr(own, "backbone_config", None):
        # The weights hold the backbone; a second copy would be asked of the hub.
        backbone.use_pretrained_backbone = False
    return own


def architecture_of(config: Any) -> dict[str, Any]:
    """A folder's configuration as JSON that builds the same encoder, without names and whereabouts."""
    written = json.loads(config.to_json_string(use_diff=False))
    found: dict[str, Any] = _without(written)
    return found


def class_of(family: TextFamily | PictureFamily) -> type[nn.Module]:
    """The class of the encoder."""
    found: type[nn.Module] = getattr(transformers, family.model)
    return found


def build(family: TextFamily | PictureFamily, architecture: dict[str, Any]) -> nn.Module:
    """The encoder with weights that are still to be filled in.

    Raises:
        ValueError: Its configuration builds none.
    """
    config = config_of(family, architecture)
    if isinstance(family, TextFamily):
        # Other kernels leave a mask out where a batch has no padding: a text's bits would tell of its neighbours.
        config._attn_implementation = "eager"  # noqa: SLF001 - the only way that all versions share
    try:
        with torch.random.fork_rng(devices=[]):
            model = class_of(family)(config, **dict(family.options))
    except Exception as error:  # as above
        raise ValueError(f"not a {family.model}: {' '.join(str(error).split())[:200]}") from error
    return model.eval()


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(one) for key, one in sorted(value.items()) if key not in _ASIDE}
    return value
