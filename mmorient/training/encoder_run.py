"""The recipe of a checkpoint with encoders from folders, from the sets to the checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from mmorient.training.config import TrainConfig
from mmorient.training.data.readers import read_all
from mmorient.training.fitting.bank_choice import bank_counts, draw_bank
from mmorient.training.fitting.claiming import claim_folder, digest_of
from mmorient.training.fitting.encoder_preparing import prepare_encoders, write_encoders
from mmorient.training.fitting.folders import Folders, read_folders
from mmorient.training.fitting.joint_training import METRICS, train_jointly
from mmorient.training.fitting.several import count, first_alone, join, leave, place
from mmorient.training.judging.batch_scores import BATCH_SCORES, write_batch_scores
from mmorient.training.judging.plots import learning_curves
from mmorient.training.judging.validating import validate
from mmorient.training.run import CURVES, RELIABILITY, calibrate_checkpoint


def train_encoders(
    data: Path,
    out: Path,
    work: Path,
    config: TrainConfig,
    device: torch.device,
    *,
    teachers: Sequence[Path] = (),
    verdicts: Sequence[Path] = (),
) -> None:
    """Train a checkpoint with encoders from folders, or go on where that was interrupted.

    Args:
        data: The sets, as ``read_all`` finds them.
        out: The checkpoint's folder.
        work: A folder that the project ignores: pixels, features, the state of the run, ``metrics.jsonl``, the plots.
        config: How, and with which encoders.
        device: What trains, and what calibrates.
        teachers: Checkpoints that are asked about texts without a label.
        verdicts: Files of ``moderate verdicts export``, beside the sets.

    Raises:
        DataError: A set is laid out otherwise, there is none, none teaches anything, or ``work`` holds the state of
            another run.
        CheckpointError: A folder holds no encoder of a known family.
    """
    folders = Folders.of(config)
    examples = read_all(data, verdicts)
    device = join(device)
    work.mkdir(parents=True, exist_ok=True)
    weights = folders.digests()
    with first_alone():
        claim_folder(
            work,
            {
                "configuration": config.model_dump(mode="json"),
                "data": digest_of(examples),
                "encoders": weights,
                "teachers": [str(teacher) for teacher in teachers],
                "number of processes": count(),
            },
        )
        encoders = read_folders(folders, config, work / "tokenizers")
        prepared = prepare_encoders(examples, config, work, encoders, weights=weights, device=device, teachers=teachers)
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
    )
    if place() > 0:
        leave()
        return
    learning_curves(work / METRICS, work / CURVES)
    if config.context == "batch":
        write_batch_scores(prepared.model, data_set, config.rows, work / BATCH_SCORES)
    write_encoders(prepared, config, out)
    leave()
    calibrate_checkpoint(
        out, examples, work / RELIABILITY, config.stated_for, device="cuda" if device.type == "cuda" else "cpu"
    )
