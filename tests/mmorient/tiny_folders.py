"""A tiny random encoder of each family, in a local folder as published ones are laid out: two layers, 32 wide."""

import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from mmorient.package_files import package_file
from mmorient.training.fitting.pretrained import TEXT_PACKAGE
from tests.mmorient.tiny_models import (
    DEVIATION,
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    MEAN,
    _randomised,
    write_bert,
    write_clip,
    write_detr,
)

SIDE = 32
_WORDS = ["the", "rain", "sun", "great", "monday", "hate", "love", "happy"]
_SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
_LETTERS = [*string.ascii_lowercase, *string.digits, *".,!?'@#&-"]


def byte_level(specials: list[str]) -> Tokenizer:
    """As RoBERTa's and ModernBERT's: words hold the space before them."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("r", "a"), ("i", "n"), ("ra", "in"), ("Ġ", "rain"), ("Ġ", "t"), ("Ġt", "h"), ("Ġth", "e")]
    tokens = [*specials, *alphabet, *("".join(pair) for pair in merges)]
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(specials)
    return tokenizer


def unigram(specials: list[str], unknown: str) -> Tokenizer:
    """As XLM-R's and DeBERTa-v3's: pieces of many scripts, words begin with a mark."""
    letters = [*_LETTERS, *"äöüßéèñçабвгдежзийклмнопрстуфхцчшщыьэюя你好世界мирمرحبا"]
    words = ["▁", *(f"▁{word}" for word in [*_WORDS, "grüße", "привет", "bonjour"])]
    pieces = [(one, 0.0) for one in specials]
    pieces += [(one, -2.0 - number / 10) for number, one in enumerate(dict.fromkeys([*words, *letters]))]
    tokenizer = Tokenizer(models.Unigram(pieces, specials.index(unknown)))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.add_special_tokens(specials)
    return tokenizer


def _write(folder: Path, model: Any, seed: int = 0) -> Path:
    del seed
    _randomised(model).save_pretrained(folder)
    return folder


def _text(folder: Path, tokenizer: Tokenizer, name: str, *, head: str, **sizes: Any) -> Path:
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = getattr(transformers, f"{name}Config")(vocab_size=tokenizer.get_vocab_size(), **(_SMALL | sizes))
    torch.manual_seed(3)
    return _write(folder, getattr(transformers, f"{name}{head}")(config))


def write_roberta(folder: Path) -> Path:
    """A RoBERTa with its pretraining's head, 128 tokens behind its two reserved positions."""
    tokenizer = byte_level(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    return _text(folder, tokenizer, "Roberta", head="ForMaskedLM", max_position_embeddings=130, type_vocab_size=1)


def write_bertweet(folder: Path) -> Path:
    """A BERTweet as published: fastBPE's two files and no ``tokenizer.json``."""
    folder.mkdir(parents=True)
    words = ["@USER", "HTTPURL", *_WORDS, *(f"{one}@@" for one in _LETTERS), *_LETTERS]
    (folder / "vocab.txt").write_text("".join(f"{word} {100 - number}\n" for number, word in enumerate(words)))
    codes = []
    for word in ["@USER", "HTTPURL", *_WORDS]:
        pieces = [*word[:-1], f"{word[-1]}</w>"]
        while len(pieces) > 1:
            codes.append(f"{pieces[0]} {pieces[1]} 9")
            pieces[:2] = [pieces[0] + pieces[1]]
    (folder / "bpe.codes").write_text("\n".join(dict.fromkeys(codes)) + "\n")
    config = transformers.RobertaConfig(
        vocab_size=len(words) + 5, max_position_embeddings=130, type_vocab_size=1, **_SMALL
    )
    torch.manual_seed(3)
    return _write(folder, transformers.RobertaForMaskedLM(config))


def write_xlm_roberta(folder: Path) -> Path:
    """An XLM-R, for texts of many languages."""
    tokenizer = unigram(["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "<unk>")
    return _text(folder, tokenizer, "XLMRoberta", head="ForMaskedLM", max_position_embeddings=514, type_vocab_size=1)


def write_deberta(folder: Path) -> Path:
    """A DeBERTa-v3: relative positions, shared keys, sentence pieces."""
    tokenizer = unigram(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"], "[UNK]")
    sizes = {
        "relative_attention": True,
        "position_buckets": 16,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "max_position_embeddings": 512,
        "type_vocab_size": 0,
        "max_relative_positions": -1,
    }
    return _text(folder, tokenizer, "DebertaV2", head="Model", **sizes)


def write_modernbert(folder: Path) -> Path:
    """A ModernBERT: rotary positions, one layer of each kind of attention."""
    tokenizer = byte_level(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    sizes = {
        "global_attn_every_n_layers": 2,
        "local_attention": 16,
        "pad_token_id": 0,
        "cls_token_id": 2,
        "sep_token_id": 3,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "max_position_embeddings": 512,
    }
    return _text(folder, tokenizer, "ModernBert", head="ForMaskedLM", **sizes)


def _picture(folder: Path, model: Any, *, mean: list[float], deviation: list[float], **fields: Any) -> Path:
    folder.mkdir(parents=True)
    _write(folder, model)
    content = {"do_resize": True, "do_normalize": True, "image_mean": mean, "image_std": deviation} | fields
    (folder / "preprocessor_config.json").write_text(json.dumps(content))
    return folder


def write_siglip(folder: Path) -> Path:
    """A whole SigLIP: patches, and a head that pools them."""
    torch.manual_seed(4)
    config = transformers.SiglipConfig(
        text_config=_SMALL | {"vocab_size": 99, "projection_size": 32},
        vision_config=_SMALL | {"image_size": SIDE, "patch_size": 8},
    )
    size = {"height": SIDE, "width": SIDE}
    return _picture(folder, transformers.SiglipModel(config), mean=[0.5] * 3, deviation=[0.5] * 3, size=size)


def write_vit(folder: Path) -> Path:
    """A ViT with its classifier."""
    torch.manual_seed(5)
    config = transformers.ViTConfig(image_size=SIDE, patch_size=8, num_labels=7, **_SMALL)
    model = transformers.ViTForImageClassification(config)
    return _picture(folder, model, mean=[0.5] * 3, deviation=[0.5] * 3, size={"height": SIDE, "width": SIDE})


def write_dinov2(folder: Path) -> Path:
    """A DINOv2, trained on larger squares than it reads."""
    torch.manual_seed(6)
    config = transformers.Dinov2Config(image_size=56, patch_size=8, **_SMALL)
    crop = {"do_center_crop": True, "crop_size": {"height": SIDE, "width": SIDE}, "size": {"shortest_edge": 40}}
    return _picture(folder, transformers.Dinov2Model(config), mean=IMAGENET_MEAN, deviation=IMAGENET_DEVIATION, **crop)


def write_convnext(folder: Path) -> Path:
    """A ConvNeXt with its classifier, reading 64 pixels."""
    torch.manual_seed(7)
    config = transformers.ConvNextConfig(num_stages=4, hidden_sizes=[8, 8, 16, 32], depths=[1, 1, 1, 1], num_labels=7)
    model = transformers.ConvNextForImageClassification(config)
    size = {"shortest_edge": 64}
    return _picture(folder, model, mean=IMAGENET_MEAN, deviation=IMAGENET_DEVIATION, size=size, crop_pct=0.875)


def write_small_clip(folder: Path) -> Path:
    """A CLIP, as the tests of the variant have it."""
    return write_clip(folder)


TEXTS: dict[str, Callable[[Path], Path]] = {
    "bert": write_bert,
    "bertweet": write_bertweet,
    "clip": write_small_clip,
    "deberta": write_deberta,
    "modernbert": write_modernbert,
    "roberta": write_roberta,
    "xlm-roberta": write_xlm_roberta,
}
PICTURES: dict[str, Callable[[Path], Path]] = {
    "clip": write_small_clip,
    "convnext": write_convnext,
    "detr": write_detr,
    "dinov2": write_dinov2,
    "siglip": write_siglip,
    "vit": write_vit,
}
__all__ = ["DEVIATION", "MEAN", "PICTURES", "SIDE", "TEXTS"]


def write_shallow_bert(folder: Path, layers: int) -> Path:
    """The lowest layers of all-MiniLM-L6-v2 as a folder; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = load_file(package_file(TEXT_PACKAGE, "model/model.safetensors"))
    kept = {
        name: tensor.half()
        for name, tensor in whole.items()
        if not name.startswith("encoder.layer.") or int(name.split(".")[2]) < layers
    }
    save_file(kept, folder / "model.safetensors")
    write_bert_config(folder, num_hidden_layers=layers)
    return folder


def write_bert_config(folder: Path, **more: int) -> None:
    """Write the `config.json` of a BERT of all-MiniLM-L6-v2's width, but for what is given."""
    said = {"model_type": "bert", "hidden_size": 384, "intermediate_size": 1536} | more
    (folder / "config.json").write_text(json.dumps(said), encoding="utf-8")
