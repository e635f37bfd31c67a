"""The whole recipe of the ``compact`` checkpoint, from the sets to the folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch

from mmorient.arithmetic.devices import DeviceName, is_fast_in_bf16
from mmorient.checkpointing.loading import load_checkpoint
from mmorient.checkpointing.saving import save_calibration
from mmorient.errors import DataError
from mmorient.moderator import Moderator
from mmorient.reference import REFERENCE, Reference, count_labels, save_reference
from mmorient.training.config import TrainConfig
from mmorient.training.data.examples import VAL, Example
from mmorient.training.data.readers import read_all
from mmorient.training.fitting.bank_choice import bank_counts, draw_bank
from mmorient.training.fitting.claiming import claim_folder, digest_of, digest_of_pictures
from mmorient.training.fitting.finishing import finish
from mmorient.training.fitting.frozen_vectors import freeze
from mmorient.training.fitting.joint_training import METRICS, train_jointly
from mmorient.training.fitting.preparing import bert_digest, fresh_model, model_of, prepare
from mmorient.training.fitting.rehearsal import rehearsing
from mmorient.training.judging.calibrating import Fit, calibrate, describe
from mmorient.training.judging.changes import measure_changes
from mmorient.training.judging.evaluating import posts_of
from mmorient.training.judging.plots import learning_curves, reliability_diagram
from mmorient.training.judging.validating import validate

_log = logging.getLogger(__name__)
CURVES, RELIABILITY, CHANGES = "curves.png", "reliability.png", "changes.json"


def train(
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
    """Train a checkpoint, or go on where that was interrupted.

    Args:
        data: The sets, as ``read_all`` finds them.
        out: The checkpoint's folder.
        work: A folder that the project ignores: region states (1.2 GB for 8,000 pictures), the state of the run,
            ``metrics.jsonl`` and the plots.
        config: How.
        device: What trains; the checkpoint is calibrated on the CPU.
        start: A checkpoint to train further; None starts from the pretrained encoders.
        teachers: Checkpoints that are asked about texts without a label.
        verdicts: Files of ``moderate verdicts export``, beside the sets.

    Raises:
        DataError: A set is laid out otherwise, there is none, none teaches anything, or ``work`` holds the state of
            another run.
        CheckpointError: A pretrained encoder's package is missing, or ``start`` cannot be trained further.
    """
    config = config.settled(fast_in_bf16=is_fast_in_bf16(device))
    examples = read_all(data, verdicts)
    work.mkdir(parents=True, exist_ok=True)
    checkpoint = None if start is None else load_checkpoint(start)
    begins = checkpoint.digest if checkpoint is not None else bert_digest(config)
    claim_folder(
        work,
        {
            "configuration": config.model_dump(mode="json"),
            "data": digest_of(examples),
            "pictures": digest_of_pictures(examples),
            "start": begins,
            "teachers": [load_checkpoint(teacher).digest for teacher in teachers],
        },
    )
    kept = checkpoint if config.rehearsal else None
    if kept is not None:
        config = rehearsing(config, examples)
        teachers = teachers or (kept.path,)
    prepared = prepare(examples, config, work, checkpoint, teachers, rehearse=kept is not None)
    counts = bank_counts(prepared.data.examples, config.bank, {one.source for one in examples})
    config = config.model_copy(update={"bank": counts})
    model = (fresh_model(config) if checkpoint is None else model_of(checkpoint, config)).to(device)
    if config.fine_tuning == "frozen":
        identity = f"{begins or 'pretrained'}, seed {config.seed}" if checkpoint is None else checkpoint.digest
        model, prepared = freeze(model, prepared, config, work, identity)
    bank = draw_bank(prepared.data.examples, config.bank, config.seed)
    data_set = prepared.data
    train_jointly(
        model,
        data_set,
        bank,
        config,
        work,
        validate=lambda model, context: validate(model, data_set, context, config.uncounted),
        kept=None if kept is None else kept.bank,
    )
    learning_curves(work / METRICS, work / CURVES)
    finish(model.cpu(), prepared, config, out, kept)
    calibrate_checkpoint(out, examples, work / RELIABILITY, config.stated_for if kept is None else None)
    if kept is not None:
        report_changes(kept.path, out, examples, work)


def report_changes(
    before: Path, after: Path, examples: Sequence[Example], work: Path, device: Literal["cpu", "cuda"] = "cpu"
) -> None:
    """Write and log what training a checkpoint further changed.

    Args:
        before: The checkpoint that was trained further.
        after: What came of it.
        examples: What it was trained on.
        work: Where ``changes.json`` is written.
        device: Where both compute.
    """
    changes = measure_changes(before, after, examples, device)
    (work / CHANGES).write_text(json.dumps([one.as_dict() for one in changes], indent=2), encoding="utf-8")
    for one in changes:
        _log.info("%s", one.describe())


def calibrate_checkpoint(
    path: Path,
    examples: Sequence[Example],
    diagram: Path | None,
    shares: Mapping[str, Sequence[float]] | None = None,
    *,
    device: DeviceName = "cpu",
) -> list[Fit]:
    """Fit a checkpoint's calibration anew on the validation split and write it, and what it then says of that split.

    The digest changes.

    Args:
        path: The checkpoint's folder.
        examples: Of any split.
        diagram: Where the reliability diagram goes, if anywhere.
        shares: Task to the share of each class that its probabilities are stated for, where not as before.
        device: Where its outputs are computed.

    Raises:
        CheckpointError: It cannot be used.
        DataError: No example of the split ``val`` has a label.
    """
    calibration, fits = calibrate(Moderator.from_checkpoint(path, device=device), examples, shares)
    if not fits:
        raise DataError("no example of the split val has a label")
    for one in fits:
        _log.info("%s", describe(one))
    save_calibration(path, calibration)
    save_reference(path / REFERENCE, reference_of(path, examples, device))
    if diagram is not None:
        curves = {f"{one.modalities} {one.head}": (one.bins_before, one.bins_after) for one in fits}
        reliability_diagram(curves, diagram)
    return fits


def reference_of(path: Path, examples: Sequence[Example], device: DeviceName = "cpu") -> Reference:
    """What a checkpoint says of the validation split, each post with all that it has."""
    moderator = Moderator.from_checkpoint(path, device=device)
    validation = [example for example in examples if example.split == VAL]

    def answers() -> Iterator[dict[str, tuple[str, Mapping[str, float]]]]:
        for posts in posts_of(moderator, validation, "text+image"):
            for said in moderator.label([post for post in posts if post.text or post.pictures]):
                yield {task: (answer.label, answer.probabilities) for task, answer in said.tasks.items()}

    return count_labels(answers(), moderator.identity.checkpoint)
