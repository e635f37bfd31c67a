"""The whole recipe of the ``compact`` checkpoint, from the sets to the folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from mmorient.checkpoint import model_sizes, save_checkpoint
from mmorient.config import CheckpointConfig
from mmorient.encoders.efficientnet import EfficientNetLite
from mmorient.encoders.lite import load_lite
from mmorient.encoders.minilm import MiniLm
from mmorient.encoders.packages import package_file
from mmorient.training.calibrating import calibrate
from mmorient.training.compact import CompactConfig, compact_config
from mmorient.training.data import PROBES, Example, read_all
from mmorient.training.head_training import HeadRecipe, train_head
from mmorient.training.near_duplicates import without_crossing
from mmorient.training.picture_tuning import fit_projection, region_states, tune_regions
from mmorient.training.text_tuning import TuningRecipe, tune_text
from mmorient.training.tokens import TokenTable, batches_by_length
from mmorient.training.vectors import Vectors, choose_bank, freeze_bank

_log = logging.getLogger(__name__)
_VECTORS = "phase1.safetensors"


def train(
    data: Path,
    out: Path,
    work: Path,
    *,
    name: str = "mm-orient-compact",
    text_recipe: TuningRecipe | None = None,
    head_recipe: HeadRecipe | None = None,
) -> None:
    """Train a checkpoint.

    Args:
        data: The sets, as ``read_all`` finds them.
        out: The checkpoint's folder.
        work: A folder that the project ignores, for region states (1.2 GB) and phase 1's result, which is used again
            where it is there: delete it to train the encoders anew.
        name: Of the checkpoint.
        text_recipe: Of phase 1's texts.
        head_recipe: Of phase 2.

    Raises:
        DataError: A set is missing or laid out otherwise.
        CheckpointError: An encoder's package is missing.
    """
    examples = without_crossing(read_all(data))
    head_recipe = head_recipe or HeadRecipe()
    config = compact_config(
        name,
        probes=dict(PROBES),
        bank_posts=sum(head_recipe.bank.values()),
        trunk=head_recipe.trunk,
        dropout=head_recipe.dropout,
    )
    file = work / _VECTORS
    if not file.is_file():
        work.mkdir(parents=True, exist_ok=True)
        texts = _text_phase(config, examples, text_recipe or TuningRecipe())
        save_file(texts | _picture_phase(config, examples, work), file)
    _head_phase(config, examples, load_file(file), head_recipe, out)


def _head_phase(
    config: CheckpointConfig, examples: Sequence[Example], phase1: dict[str, Tensor], recipe: HeadRecipe, out: Path
) -> None:
    embedding, vectors = _split(phase1)
    sizes = model_sizes(config)
    bank_rows = choose_bank(examples, dict(recipe.bank), recipe.seed)
    model = train_head(sizes, vectors, examples, bank_rows, recipe)
    posts = vectors.all_of(bank_rows, (sizes.text_vector, sizes.picture_vector))
    bank = freeze_bank(model, posts, [examples[row] for row in bank_rows.tolist()])
    context = bank.context(model)
    calibration = calibrate(model, context, vectors, examples)
    head = model.state_dict()
    save_checkpoint(out, config, calibration, embedding=embedding, head=head, bank=bank)


def _text_phase(config: CompactConfig, examples: Sequence[Example], recipe: TuningRecipe) -> dict[str, Tensor]:
    weights = package_file(config.text_encoder.package, config.text_encoder.weights.file)
    tokenizer = package_file(config.text_encoder.package, config.text_encoder.tokenizer.file)
    encoder = MiniLm(weights, tokenizer, {})
    texts = [example.text for example in examples]
    tokens = TokenTable.of(encoder.reader, texts)
    tuned = tune_text(encoder.bert, tokens, examples, recipe)
    embeddings = torch.zeros(len(examples), 2 * encoder.state_width, dtype=torch.float16)
    with torch.inference_mode():
        for indices in batches_by_length(tokens.lengths(), 64):
            embeddings[indices] = tuned(*tokens.batch(indices)).half()
    parts = {f"text_encoder.{name}": tensor.contiguous() for name, tensor in tuned.deltas().items()}
    parts |= {f"text_attention.{name}": tensor for name, tensor in tuned.attention.state_dict().items()}
    return parts | {"vectors.texts": embeddings, "vectors.has_text": torch.tensor([bool(text) for text in texts])}


def _picture_phase(config: CompactConfig, examples: Sequence[Example], work: Path) -> dict[str, Tensor]:
    network = EfficientNetLite().eval()
    load_lite(network, package_file(config.picture_encoder.package, config.picture_encoder.weights.file))
    network.to(memory_format=torch.channels_last)
    pictured = [index for index, example in enumerate(examples) if example.picture is not None]
    files = [file for example in examples if (file := example.picture) is not None]
    states = region_states(network, files, work / "cache")
    decoded = np.array([bool(one.any()) for one in states[:, 0]])
    owners = [examples[index] for index in pictured]
    learned = np.array([example.split == "train" for example in owners]) & decoded
    means = torch.from_numpy(np.stack([one.astype(np.float32).mean(0) for one in states]))
    projection = fit_projection(means[torch.from_numpy(learned)], config.picture_encoder.global_width)
    attention = tune_regions(states, owners)
    globals_ = functional.normalize((means - projection["centre"]) @ projection["axes"].T, dim=-1)
    with torch.inference_mode():
        attended = [
            attention(torch.from_numpy(states[start : start + 64].astype(np.float32))).vector
            for start in range(0, len(states), 64)
        ]
    row_of = torch.full((len(examples),), -1)
    row_of[torch.tensor(pictured)] = torch.where(torch.from_numpy(decoded), torch.arange(len(pictured)), -1)
    parts = {f"picture_encoder.{name}": tensor.contiguous() for name, tensor in projection.items()}
    parts |= {f"picture_attention.{name}": tensor for name, tensor in attention.state_dict().items()}
    vectors = torch.cat([torch.cat(attended), globals_], dim=-1).half()
    return parts | {"vectors.pictures": vectors, "vectors.picture_row": row_of}


def _split(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], Vectors]:
    prefix = "vectors."
    embedding = {name: tensor for name, tensor in tensors.items() if not name.startswith(prefix)}
    parts = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return embedding, Vectors(**parts)
