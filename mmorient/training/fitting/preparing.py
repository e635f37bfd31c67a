"""From the sets on the disk to all that a training run reads: examples, tokens, regions, a fresh model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mmorient.checkpointing.loading import Checkpoint
from mmorient.config import TextEncoderConfig
from mmorient.digest import file_digest
from mmorient.encoders.bert import Bert, BertSizes
from mmorient.encoders.efficientnet import EfficientNetLite
from mmorient.encoders.hugging_face import WEIGHTS
from mmorient.encoders.weights import fill
from mmorient.errors import CheckpointError
from mmorient.input.text import TextReader
from mmorient.network.mm_orient import ModelSizes
from mmorient.training.config import TrainConfig
from mmorient.training.data.beside import beside_others
from mmorient.training.data.contrast import contrast_pairs
from mmorient.training.data.examples import PROBES, TRAIN, Example
from mmorient.training.data.identity import counterfactuals, plain_mentions
from mmorient.training.data.near_duplicates import without_crossing
from mmorient.training.data.regions import fit_projection, region_states
from mmorient.training.data.teaching import lessons_of
from mmorient.training.data.tokens import TokenTable
from mmorient.training.fitting.batches import TrainingSet, epochs_of
from mmorient.training.fitting.compact import GLOBAL_WIDTH
from mmorient.training.fitting.joint_model import CompactModel
from mmorient.training.fitting.pretrained import pretrained_picture, pretrained_text, tokenizer_file

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that training reads.

    Attributes:
        sizes: Of the model.
        network: The picture encoder, frozen.
        projection: Of its global vector.
    """

    data: TrainingSet
    sizes: ModelSizes
    network: EfficientNetLite
    projection: dict[str, Tensor]


def model_sizes_of(config: TrainConfig) -> ModelSizes:
    """Widths of ``compact``."""
    return ModelSizes(global_vector=GLOBAL_WIDTH, trunk=config.trunk, dropout=config.head_dropout, probes=dict(PROBES))


def fresh_model(config: TrainConfig) -> CompactModel:
    """The model before the first step: the pretrained text encoder, all else from the seed.

    Raises:
        CheckpointError: The encoder's package or folder is missing, or another.
    """
    return _model_around(pretrained_text(Path(config.bert) if config.bert else None), config)


def bert_digest(config: TrainConfig) -> str | None:
    """``sha256:…`` of the weights that the text encoder starts from; None where they are a package's.

    Raises:
        CheckpointError: There are none.
    """
    if not config.bert:
        return None
    file = Path(config.bert) / WEIGHTS
    if not file.is_file():
        raise CheckpointError(file, "is missing")
    return file_digest(file)


def model_of(checkpoint: Checkpoint, config: TrainConfig) -> CompactModel:
    """The model of a checkpoint, to be trained further.

    Raises:
        CheckpointError: It is no ``compact``, or of other sizes than the configuration's.
    """
    encoder = checkpoint.config.text_encoder
    if not isinstance(encoder, TextEncoderConfig):
        raise CheckpointError(
            checkpoint.path, f"cannot be trained further as compact: its texts are read by {encoder.kind}"
        )
    model = _model_around(Bert(BertSizes(layers=encoder.layers)), config)
    try:
        fill(model.bert, checkpoint.part("text_encoder.bert."))
        fill(model.text_attention, checkpoint.part("text_attention."))
        fill(model.picture_attention, checkpoint.part("picture_attention."))
        fill(model.head, checkpoint.head)
    except ValueError as error:
        raise CheckpointError(checkpoint.path, f"cannot be trained further as configured: {error}") from error
    return model


def _model_around(bert: Bert, config: TrainConfig) -> CompactModel:
    model = CompactModel(bert, model_sizes_of(config), config.seed)
    model.bf16 = bool(config.bf16)
    return model


def prepare(
    examples: Sequence[Example],
    config: TrainConfig,
    work: Path,
    start: Checkpoint | None = None,
    teachers: Sequence[Path] = (),
    *,
    rehearse: bool = False,
) -> Prepared:
    """Read everything once.

    Args:
        examples: As the readers give them; near duplicates across splits are left out here.
        config: Of the run.
        work: Region states are kept there between runs, 1.2 GB for 8,000 pictures.
        start: Whose projection of pictures is kept, where a checkpoint is trained further.
        teachers: Checkpoints that are asked about texts without a label.
        rehearse: The teachers' answers before calibration stand for what texts have no label for, in every head and of
            the project's own sentences too.
    """
    kept = without_crossing(examples)
    _log.info("%d examples, %d near duplicates across splits left out", len(kept), len(examples) - len(kept))
    if config.swaps or rehearse:
        kept += [*counterfactuals(kept, config.swaps, config.seed), *plain_mentions(), *contrast_pairs(config.seed)]
    kept += beside_others(kept, config.beside, config.seed)
    reader = TextReader(tokenizer_file())
    tokens = TokenTable.of(reader, [example.text for example in kept])
    network = pretrained_picture()
    files = [file for example in examples if (file := example.picture) is not None]
    states = region_states(network, files, work / "cache")
    decoded = np.array([bool(one.any()) for one in states[:, 0]], dtype=bool)
    row_of = {file: row for row, file in enumerate(files) if decoded[row]}
    picture_row = np.array([row_of.get(example.picture, -1) if example.picture else -1 for example in kept])
    means = torch.zeros(len(states), states.shape[2])
    for row, one in enumerate(states):
        means[row] = torch.from_numpy(one.astype(np.float32).mean(0))
    if start is not None:
        projection = {name: start.part("picture_encoder.")[name].float() for name in ("centre", "axes")}
    else:
        learned = [row for row, example in zip(picture_row, kept, strict=True) if row >= 0 and example.split == TRAIN]
        projection = fit_projection(means[learned], GLOBAL_WIDTH)
    globals_ = functional.normalize((means - projection["centre"]) @ projection["axes"].T, dim=-1)
    sizes = model_sizes_of(config)
    data = TrainingSet(
        kept,
        tokens,
        states,
        globals_,
        picture_row,
        heads=list(sizes.heads),
        probes=list(sizes.probes),
        config=config,
    )
    teach(data, config, teachers, by_words=config.ordinary, rehearse=rehearse)
    return Prepared(data, sizes, network, projection)


def teach(
    data: TrainingSet,
    config: TrainConfig,
    teachers: Sequence[Path],
    *,
    by_words: Sequence[str] = (),
    rehearse: bool = False,
    device: Literal["cpu", "cuda"] = "cpu",
) -> None:
    """Put what teachers say of the posts that the run will show into the training set; nothing where there are none.

    Args:
        data: What is trained on.
        config: Of the run.
        teachers: Checkpoints.
        by_words: Sources of ordinary pictures, whose words say what there is to say.
        rehearse: As ``prepare`` has it.
        device: Where teachers compute.
    """
    if not teachers:
        return
    shown = {row for epoch in epochs_of(data, config) for batch in epoch for row in batch}
    asked = [row for row in sorted(shown) if rehearse or data.examples[row].source not in config.untaught]
    heads = list(data.heads) if rehearse else ()
    data.lessons = lessons_of(teachers, data.examples, asked, by_words=by_words, rehearsed=heads, device=device)
