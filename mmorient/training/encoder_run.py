"""The recipe of a checkpoint with encoders from folders, from the sets to the checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from mmorient.arithmetic.devices import is_fast_in_bf16
from mmorient.checkpointing.loading import load_checkpoint, read_config
from mmorient.config import TextEncoderConfig
from mmorient.errors import CheckpointError
from mmorient.training.config import TrainConfig
from mmorient.training.data.readers import read_all
from mmorient.training.fitting.bank_choice import bank_counts, draw_bank
from mmorient.training.fitting.claiming import claim_folder, digest_of, digest_of_pictures
from mmorient.training.fitting.continuing import continued, encoders_of, holds_encoders
from mmorient.training.fitting.encoder_preparing import prepare_encoders, write_encoders
from mmorient.training.fitting.folders import Folders, read_folders
from mmorient.training.fitting.joint_training import METRICS, train_jointly
from mmorient.training.fitting.rehearsal import rehearsing
from mmorient.training.fitting.resuming import TrainingState, load_state
from mmorient.training.fitting.several import first_alone, join, leave, place
from mmorient.training.fitting.sharding import divide
from mmorient.training.judging.batch_scores import BATCH_SCORES, write_batch_scores
from mmorient.training.judging.plots import learning_curves
from mmorient.training.judging.validating import validate
from mmorient.training.run import CURVES, RELIABILITY, calibrate_checkpoint, report_changes


def brings_encoders(start: Path) -> bool:
    """Whether a checkpoint that is trained further has encoders from folders; else it is a ``compact``.

    Raises:
        CheckpointError: Its encoders lie in folders that are not its own.
    """
    config = read_config(start)
    if holds_encoders(config):
        return True
    if isinstance(config.text_encoder, TextEncoderConfig):
        return False
    raise CheckpointError(
        start, "its encoders stay in folders of their own: train a checkpoint from these, by --text-encoder and others"
    )


def train_encoders(
    data: Path,
    out: Path,
    work: Path,
    config: TrainConfig,
    device: torch.device,
    *,
    start: Path | None = None,
    teachers: Sequence[Path] = (),
    verdicts: Sequence[Path] = (),
) -> None:
    """Train a checkpoint with encoders from folders, or go on where that was interrupted.

    Args:
        data: The sets, as ``read_all`` finds them.
        out: The checkpoint's folder.
        work: A folder that the project ignores: pixels, features, the state of the run, ``metrics.jsonl``, the plots.
        config: How, and with which encoders, unless ``start`` brings them.
        device: What trains, and what calibrates.
        start: A checkpoint with encoders from folders, to train further.
        teachers: Checkpoints that are asked about texts without a label.
        verdicts: Files of ``moderate verdicts export``, beside the sets.

    Raises:
        DataError: A set is laid out otherwise, there is none, none teaches anything, or ``work`` holds the state of
            another run.
        CheckpointError: A folder holds no encoder of a known family, or ``start`` cannot be trained further.
    """
    before = None if start is None else load_checkpoint(start)
    if before is None:
        folders = Folders.of(config)
        weights = folders.digests()
    else:
        config = continued(config, before)
        weights = {"start": before.digest}
    examples = read_all(data, verdicts)
    device = join(device)
    config = config.settled(fast_in_bf16=is_fast_in_bf16(device))
    where: Literal["cpu", "cuda"] = "cuda" if device.type == "cuda" else "cpu"
    work.mkdir(parents=True, exist_ok=True)
    kept = before if config.rehearsal else None
    with first_alone():
        claim_folder(
            work,
            {
                "configuration": config.model_dump(mode="json"),
                "data": digest_of(examples),
                "pictures": digest_of_pictures(examples),
                "start": None if before is None else before.digest,
                "encoders": weights if before is None else {},
                "teachers": [str(teacher) for teacher in teachers],
            },
        )
        if kept is not None:
            config = rehearsing(config, examples)
            teachers = teachers or (kept.path,)
        encoders = read_folders(folders, config, work / "tokenizers") if before is None else encoders_of(before, config)
        prepared = prepare_encoders(
            examples,
            config,
            work,
            encoders,
            weights=weights,
            device=device,
            teachers=teachers,
            start=before,
            rehearse=kept is not None,
        )
    whole = divide(prepared.model) if config.sharding == "full" else None
    data_set = prepared.data
    counts = bank_counts(data_set.examples, config.bank, {one.source for one in examples})
    config = config.model_copy(update={"bank": counts})
    bank = draw_bank(data_set.examples, config.bank, config.seed)
    train_jointly(
        prepared.model,
        data_set,
        bank,
        config,
        work,
        validate=lambda model, context: validate(model, data_set, context, config.uncounted),
        kept=None if kept is None else kept.bank,
    )
    if place() > 0:
        leave()
        return
    if whole is not None:
        prepared = prepared.with_model(whole, device)
        load_state(work, whole, None, TrainingState(), name="best")
    learning_curves(work / METRICS, work / CURVES)
    if config.context == "batch":
        write_batch_scores(prepared.model, data_set, config.rows, work / BATCH_SCORES)
    write_encoders(prepared, config, out, kept)
    leave()
    stated_for = config.stated_for if kept is None else None
    calibrate_checkpoint(out, examples, work / RELIABILITY, stated_for, device=where)
    if kept is not None:
        report_changes(kept.path, out, examples, work, where)
