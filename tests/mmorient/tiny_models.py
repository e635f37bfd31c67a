"""Tiny local folders in the Hugging Face layout: all parts of the real ones, at widths that tests can afford."""

import json
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import (
    BertConfig,
    BertForPreTraining,
    CLIPConfig,
    CLIPModel,
    DetrConfig,
    DetrForObjectDetection,
    ResNetConfig,
)

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
MEAN, DEVIATION = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
IMAGENET_MEAN, IMAGENET_DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def write_clip(folder: Path, *, seed: int = 0, text_width: int = 24, picture_width: int = 32) -> Path:
    """A CLIP of the real one's patches (7x7 of 32 pixels) and positions (77); global vectors are 16 wide."""
    folder.mkdir(parents=True)
    tokenizer = clip_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    tower = {"num_hidden_layers": 2, "num_attention_heads": 2, "projection_dim": 16}
    config = CLIPConfig(
        text_config=tower
        | {
            "hidden_size": text_width,
            "intermediate_size": 48,
            "vocab_size": tokenizer.get_vocab_size(),
            "bos_token_id": tokenizer.token_to_id(BEGIN),
            "eos_token_id": tokenizer.token_to_id(END),
        },
        vision_config=tower
        | {"hidden_size": picture_width, "intermediate_size": 64, "image_size": 224, "patch_size": 32},
        projection_dim=16,
    )
    torch.manual_seed(seed)
    _randomised(CLIPModel(config)).save_pretrained(folder)
    preprocessor = {
        "do_resize": True,
        "size": {"shortest_edge": 224},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": 224, "width": 224},
        "do_normalize": True,
        "image_mean": MEAN,
        "image_std": DEVIATION,
        "image_processor_type": "CLIPImageProcessor",
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


def write_bert(folder: Path, *, seed: int = 1) -> Path:
    """A BERT as it is published, with the heads of its pretraining; two layers of 24."""
    folder.mkdir(parents=True)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'@#"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    words += ["the", "rain", "sun", "great", "monday", "hate", "love", "##ing"]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106 - no password
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
    )
    torch.manual_seed(seed)
    _randomised(BertForPreTraining(config)).save_pretrained(folder)
    return folder


def write_detr(folder: Path, *, seed: int = 2, timm: bool = False) -> Path:
    """A DETR with its classifier, 100 queries of width 16, reading squares of 96 pixels."""
    folder.mkdir(parents=True)
    backbone = {"use_timm_backbone": True, "backbone": "test_resnet", "use_pretrained_backbone": False}
    if not timm:
        resnet = ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 8, 12, 16], depths=[1, 1, 1, 1], out_features=["stage4"]
        )
        backbone = {"use_timm_backbone": False, "backbone_config": resnet}
    config = DetrConfig(
        **backbone,
        num_queries=100,
        d_model=16,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
    )
    torch.manual_seed(seed)
    _randomised(DetrForObjectDetection(config)).save_pretrained(folder)
    if timm:
        # As the published folders have it, which would have the hub asked for weights that are there already.
        file = folder / "config.json"
        written = json.loads(file.read_text())
        written.pop("backbone_config")
        file.write_text(json.dumps(written | backbone | {"use_pretrained_backbone": True}))
    preprocessor = {
        "do_resize": True,
        "size": {"shortest_edge": 96, "longest_edge": 160},
        "do_normalize": True,
        "image_mean": IMAGENET_MEAN,
        "image_std": IMAGENET_DEVIATION,
        "image_processor_type": "DetrImageProcessor",
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor | {"do_center_crop": False}))
    return folder


def clip_tokenizer() -> Tokenizer:
    """CLIP's pipeline over bytes, with a few merges."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("r", "a"), ("i", "n</w>"), ("ra", "in</w>"), ("t", "h"), ("th", "e</w>")]
    tokens = [*alphabet, *(f"{letter}</w>" for letter in alphabet), *("".join(pair) for pair in merges), BEGIN, END]
    tokenizer = Tokenizer(
        models.BPE(
            {token: number for number, token in enumerate(tokens)},
            merges,
            end_of_word_suffix="</w>",
            unk_token=END,
            fuse_unk=False,
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    pattern = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([BEGIN, END])
    return tokenizer


@torch.no_grad()
def _randomised(model: torch.nn.Module) -> torch.nn.Module:
    """Larger weights than a fresh model's, so that what should matter does; batch norms of all sorts."""
    for name, buffer in model.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
        elif name.endswith("running_mean"):
            buffer.normal_(0, 0.2)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.normal_(0, parameter[0].numel() ** -0.5)
    return model.eval()
