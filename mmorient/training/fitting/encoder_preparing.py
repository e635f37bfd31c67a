"""From folders of encoders and the sets on the disk to all that a training run reads."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mmorient.checkpointing.loading import Checkpoint
from mmorient.config import FORMAT, CheckpointConfig, HeadConfig, Tiles
from mmorient.encoders.building import encoder_identity
from mmorient.encoders.folder_picture import FolderPicture
from mmorient.encoders.folder_text import FolderText
from mmorient.network.mm_orient import ModelSizes
from mmorient.training.config import TrainConfig
from mmorient.training.data.contrast import contrast_pairs
from mmorient.training.data.examples import PROBES, TRAIN, Example
from mmorient.training.data.identity import counterfactuals, plain_mentions
from mmorient.training.data.near_duplicates import without_crossing
from mmorient.training.data.regions import fit_projection
from mmorient.training.data.tokens import TokenTable
from mmorient.training.fitting.batches import TrainingSet
from mmorient.training.fitting.continuing import take_up
from mmorient.training.fitting.encoder_model import EncoderModel
from mmorient.training.fitting.features import (
    Pictures,
    TextStates,
    identity_of,
    picture_globals,
    picture_pixels,
    picture_states,
    pixels_name,
    text_globals,
    text_states,
)
from mmorient.training.fitting.finishing import Held, write
from mmorient.training.fitting.folders import Encoders, rounded
from mmorient.training.fitting.preparing import teach

_log = logging.getLogger(__name__)
_SAMPLE = 2000  # texts or pictures that a projection is fitted to, where not all are read anyway


@dataclass(frozen=True, slots=True)
class PreparedEncoders:
    """All that training reads.

    Attributes:
        sizes: Of the model.
        encoders: As they are before the first step.
    """

    data: TrainingSet
    model: EncoderModel
    sizes: ModelSizes
    encoders: Encoders

    def with_model(self, model: EncoderModel, device: torch.device) -> PreparedEncoders:
        """The same with another model, which brings along the encoders that are part of it."""
        text: Any = getattr(model, "text", self.encoders.text)
        picture: Any = getattr(model, "picture", self.encoders.picture)
        return replace(self, model=model.to(device), encoders=replace(self.encoders, text=text, picture=picture))


def prepare_encoders(
    examples: Sequence[Example],
    config: TrainConfig,
    work: Path,
    encoders: Encoders,
    *,
    weights: dict[str, str],
    device: torch.device,
    teachers: Sequence[Path] = (),
    start: Checkpoint | None = None,
    rehearse: bool = False,
) -> PreparedEncoders:
    """Read everything once, and build the model.

    Args:
        examples: As the readers give them; near duplicates across splits are left out here.
        config: Of the run.
        work: Pixels and features are kept there.
        encoders: As they were read.
        weights: Digests of their folders' files.
        device: Where frozen encoders compute.
        teachers: Checkpoints that are asked about texts without a label.
        start: A checkpoint that is trained further, whose encoders these are.
        rehearse: As ``prepare`` has it.

    Raises:
        CheckpointError: ``start`` does not fit.
    """
    kept = without_crossing(examples)
    _log.info("%d examples, %d near duplicates across splits left out", len(kept), len(examples) - len(kept))
    if config.swaps or rehearse:
        kept += [*counterfactuals(kept, config.swaps, config.seed), *plain_mentions()]
    if rehearse:
        kept += contrast_pairs(config.seed)
    encoders.text.to(device)
    encoders.picture.to(device)
    learned = [row for row, one in enumerate(kept) if one.split == TRAIN]
    tokens = TokenTable.of(encoders.text.reader, [one.text for one in kept])
    reading = _Reading(encoders, config, work / "cache", identity_of(weights), device, fitted=start is not None)
    states, text_globals_ = reading.texts([one.text for one in kept], tokens, learned)
    files = list(dict.fromkeys(file for one in kept if (file := one.picture) is not None))
    pixels = picture_pixels(encoders.picture, files, work / "cache")
    row_of = {file: row for row, file in enumerate(files) if pixels.decoded[row]}
    picture_row = np.array([row_of.get(one.picture, -1) if one.picture else -1 for one in kept], dtype=np.int64)
    shown = sorted({int(picture_row[row]) for row in learned if picture_row[row] >= 0})
    values, globals_ = reading.pictures(pixels, files, shown)
    sizes = ModelSizes(
        text_vector=encoders.text.state_width,
        picture_vector=encoders.picture.state_width,
        global_vector=encoders.text_config.global_width,
        trunk=config.trunk,
        dropout=config.head_dropout,
        probes=dict(PROBES) if config.task_features else {},
    )
    data = TrainingSet(
        kept,
        TokenTable(tuple((row, *own) for row, own in enumerate(tokens.rows))),
        values,
        globals_,
        picture_row,
        heads=list(sizes.heads),
        probes=list(sizes.probes),
        config=config,
    )
    by_words = config.ordinary if rehearse else ()
    where: Literal["cpu", "cuda"] = "cuda" if device.type == "cuda" else "cpu"
    teach(data, config, teachers, by_words=by_words, rehearse=rehearse, device=where)
    model = EncoderModel(
        sizes,
        config,
        text=None if states is not None else encoders.text,
        picture=None if values is not pixels.values else encoders.picture,
        states=states,
        text_globals=text_globals_,
        mask_token=encoders.mask_token,
    )
    if start is not None:
        take_up(model, start)
    return PreparedEncoders(data, model.to(device), sizes, encoders)


def write_encoders(
    prepared: PreparedEncoders, config: TrainConfig, out: Path, before: Checkpoint | None = None
) -> None:
    """Write the checkpoint, not yet calibrated.

    Args:
        prepared: With the model as it was trained; its weights are rounded to fp16 here.
        config: Of the run.
        out: The folder.
        before: The checkpoint that is trained further and whose bank and calibration stay, if one is.
    """
    model, encoders = prepared.model, prepared.encoders
    model.merge()
    rounded(model)
    modules: dict[str, nn.Module] = {"text_encoder": encoders.text, "picture_encoder": encoders.picture}
    tensors = {f"{place}.{name}": one for place, own in modules.items() for name, one in own.state_dict().items()}

    def describe(bank_posts: int) -> CheckpointConfig:
        return encoder_checkpoint(
            config.name,
            encoders,
            head=HeadConfig(
                threshold=config.threshold,
                trunk=config.trunk,
                dropout=config.head_dropout,
                task_features=dict(prepared.sizes.probes),
                bank_posts=bank_posts,
            ),
        )

    held = Held(describe, tensors, encoders.tokenizer, encoders.global_tokenizer, before)
    write(model, prepared.data, config, out, held)


def encoder_checkpoint(name: str, encoders: Encoders, *, head: HeadConfig) -> CheckpointConfig:
    """The config of a checkpoint with these encoders, without the digests of its files."""
    # Where a picture is many times a CLIP's, fewer make a tile.
    large = encoders.picture_config.side_pixels > 448
    return CheckpointConfig(
        format=FORMAT,
        name=name,
        text_encoder=encoders.text_config,
        picture_encoder=encoders.picture_config,
        head=head,
        tiles={
            "cpu": Tiles(texts=1, pictures=1, posts=16),
            "cuda": Tiles(texts=64, pictures=8 if large else 32, posts=256),
            "mps": Tiles(texts=16, pictures=2 if large else 8, posts=64),
        },
        files={},
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """What reads all texts and pictures before the first step.

    Attributes:
        weights: Digest of the folders that the encoders came from.
        fitted: Projections stay as they are: the reference posts of a checkpoint were projected by them.
    """

    encoders: Encoders
    config: TrainConfig
    cache: Path
    weights: str
    device: torch.device
    fitted: bool

    def texts(
        self, texts: Sequence[str], tokens: TokenTable, learned: Sequence[int]
    ) -> tuple[TextStates | None, Tensor | None]:
        """Fit the projection; token states and global vectors of a frozen encoder, each where a run reads them."""
        encoder, raw, states = self.encoders.text, None, None
        identity = f"{self.weights} {encoder_identity(self.encoders.text_config)}"
        if self.config.fine_tuning == "frozen" and self.config.features:
            states, raw = text_states(encoder, tokens, self.cache, identity, self.device)
        if isinstance(encoder.companion, FolderText):
            table = TokenTable.of(encoder.companion.reader, texts)
            _, globals_ = text_states(encoder.companion, table, self.cache, f"companion {identity}", self.device)
            return states, globals_
        if encoder.projection is not None and not self.fitted:
            some = _some(learned)
            _fit(encoder, text_globals(encoder, tokens, some, self.device) if raw is None else raw[some])
        return states, None if raw is None else _projected(encoder, raw)

    def pictures(self, pixels: Pictures, files: Sequence[Path], learned: Sequence[int]) -> tuple[Any, Tensor]:
        """Fit the projection; states and global vectors of a frozen encoder, else pixels and nothing."""
        encoder, raw, values = self.encoders.picture, None, pixels.values
        if self.config.picture_tuning == "frozen" and self.config.features:
            described = encoder_identity(self.encoders.picture_config)
            identity = f"regions-{identity_of(self.weights, described, pixels_name(encoder, files))}"
            found, raw = picture_states(encoder, pixels, self.cache, identity, self.device)
            values = found.values
        if encoder.projection is not None and not self.fitted:
            some = _some(learned)
            _fit(encoder, picture_globals(encoder, pixels, some, self.device) if raw is None else raw[some])
        if raw is None:
            return values, torch.zeros(len(values), self.encoders.picture_config.global_width)
        return values, functional.normalize(_projected(encoder, raw), dim=-1)


def _some(rows: Sequence[int]) -> list[int]:
    """Evenly spread over all."""
    step = max(1, len(rows) // _SAMPLE)
    return list(rows[::step])


@torch.no_grad()
def _projected(encoder: FolderText | FolderPicture, raw: Tensor) -> Tensor:
    if encoder.projection is None:
        return raw
    projected: Tensor = encoder.projection(raw.to(encoder.projection.centre.device)).cpu()
    return projected


@torch.no_grad()
def _fit(encoder: FolderText | FolderPicture, raw: Tensor) -> None:
    """Centre and principal axes of global vectors; of none, the first axes as they stand."""
    projection = encoder.projection
    if projection is None or not len(raw):
        return
    fitted = fit_projection(raw, len(projection.axes))
    projection.centre.copy_(fitted["centre"].half().float())
    projection.axes.copy_(fitted["axes"].half().float())
