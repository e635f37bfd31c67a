"""The whole model trained at once: text encoder, HIMA, CMRL over the bank, task features and MLC (all tasks together).

Every step draws its dropout from the seed and its own number, and the state on the disk holds all that a step needs:
a run that was interrupted ends in the same weights as one that was not.
"""

from __future__ import annotations

import json
import logging
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from mmorient.network.bank import Bank
from mmorient.network.mm_orient import GraphContext, PostTensors
from mmorient.training.config import TrainConfig
from mmorient.training.fitting.batches import Batch, TrainingSet, epochs_of
from mmorient.training.fitting.joint_model import JointModel
from mmorient.training.fitting.parts import clip_gradients
from mmorient.training.fitting.resuming import TrainingState, load_state, save_state
from mmorient.training.fitting.several import agree, average_gradients, count, place, share

_log = logging.getLogger(__name__)
METRICS = "metrics.jsonl"
_PROBE_STEPS = 9
_NOTES = 20  # of a short run
Validate = Callable[[JointModel, GraphContext], dict[str, float]]


def train_jointly(
    model: JointModel,
    data: TrainingSet,
    bank: Sequence[int],
    config: TrainConfig,
    work: Path,
    *,
    validate: Validate,
    kept: Bank | None = None,
) -> JointModel:
    """Train, or go on where a run was interrupted.

    Args:
        model: Fresh; the same for the same seed.
        data: Tokens, regions and targets of all examples.
        bank: Rows of the reference posts.
        config: How.
        work: Where the state and ``metrics.jsonl`` are written.
        validate: Scores to write after each epoch; ``score`` decides which epoch's weights are kept.
        kept: Reference posts of the checkpoint that is trained further, as it froze them.

    Returns:
        The model with the weights of the best epoch.
    """
    epochs = epochs_of(data, config)
    steps = sum(map(len, epochs))
    trainer = _Trainer(model, data, bank, config, steps=steps, kept=kept)
    state = TrainingState()
    if load_state(work, model, trainer.optimiser, state):
        _log.info("going on at step %d of %d", state.step, steps)
    _count_processes(state)
    if steps > state.step:
        pace, left = trainer.seconds_a_step(epochs), steps - state.step
        _log.info("%d steps of %d posts at %.2f s: about %.0f minutes", left, config.rows, pace, pace * left / 60)
    progress = tqdm(total=steps, initial=state.step, desc="training", unit="step", disable=None)
    step = 0
    for epoch, batches in enumerate(epochs):
        if state.validated and state.validated - 1 - state.best_epoch >= config.patience:
            _log.info("no better for %d epochs: stopped", config.patience)
            break
        for rows in batches:
            step += 1
            if step > state.step:
                _train_step(trainer, state, epoch, rows, work)
                progress.update()
        if state.validated <= epoch:
            scores = _scores(trainer, validate)
            _note(work, step=step, epoch=epoch, **scores)
            _log.info("epoch %d: %s", epoch + 1, scores)
            if state.best is None or scores["score"] > state.best:
                state.best, state.best_epoch = scores["score"], epoch
                save_state(work, model, None, state, name="best")
            if epoch >= config.epochs - config.average:
                save_state(work, model, None, state, name=f"epoch-{epoch + 1}")
            state.validated = epoch + 1
            save_state(work, model, trainer.optimiser, state)
    _average(trainer, state, work, validate)
    load_state(work, model, None, state, name="best")
    return model.eval()


def _count_processes(state: TrainingState) -> None:
    if state.processes != count() and state.step:
        _log.warning("begun by %d processes, now %d: the weights will be others", state.processes, count())
    state.processes = count()


def _scores(trainer: _Trainer, validate: Validate) -> dict[str, float]:
    trainer.forget_context()
    return agree(validate(trainer.model.eval(), trainer.context()), trainer.device)


def _average(trainer: _Trainer, state: TrainingState, work: Path, validate: Validate) -> None:
    """Let the mean of the last epochs' weights stand against the best epoch (Izmailov et al. 2018)."""
    last = range(trainer.config.epochs - trainer.config.average + 1, trainer.config.epochs + 1)
    if len(last) < 2 or last.start < 1 or state.validated < trainer.config.epochs or state.best is None:
        return
    total: dict[str, Tensor] = {}
    for epoch in last:
        load_state(work, trainer.model, None, state, name=f"epoch-{epoch}")
        for name, tensor in trainer.model.state_dict().items():
            total[name] = total[name] + tensor if name in total else tensor.clone()
    trainer.model.load_state_dict({name: tensor / len(last) for name, tensor in total.items()})
    scores = _scores(trainer, validate)
    _log.info("mean of the last %d epochs: %s", len(last), scores)
    if scores["score"] > state.best:
        save_state(work, trainer.model, None, state, name="best")


def noted_every(most: int, steps: int) -> int:
    """Return after how many steps the loss is noted: a run that is short beside `most` has a curve, too."""
    return most if steps >= 2 * most else max(1, min(most, steps // _NOTES))


def _train_step(trainer: _Trainer, state: TrainingState, epoch: int, rows: list[int], work: Path) -> None:
    began, config = time.monotonic(), trainer.config
    state.step += 1
    state.losses.append(round(trainer.step(state.step, rows), 5))
    trainer.paces.append(time.monotonic() - began)
    every = noted_every(config.log_steps, trainer.steps)
    if state.step % every == 0:
        recent = state.losses[-every:]
        pace = statistics.mean(trainer.paces)
        _note(work, step=state.step, epoch=epoch, loss=statistics.mean(recent), seconds_a_step=pace)
        left = pace * (trainer.steps - state.step) / 60
        _log.info("step %d of %d, about %.0f min left", state.step, trainer.steps, left)
    if state.step % config.bank_steps == 0:
        trainer.forget_context()
        save_state(work, trainer.model, trainer.optimiser, state)


class _Trainer:
    def __init__(
        self,
        model: JointModel,
        data: TrainingSet,
        bank: Sequence[int],
        config: TrainConfig,
        *,
        steps: int,
        kept: Bank | None,
    ) -> None:
        self.kept = kept
        self.model, self.data, self.bank, self.config, self.steps = model, data, list(bank), config, steps
        self.optimiser = torch.optim.AdamW(
            model.parameter_groups(config), betas=(0.9, 0.98), weight_decay=config.decay, fused=True
        )
        self.frozen: GraphContext | None = None
        self.paces: deque[float] = deque(maxlen=500)
        self.rates = [group["lr"] for group in self.optimiser.param_groups]
        self.device = model.text_attention.kernel.device
        self.class_weights = {
            head: torch.tensor(weight, device=self.device) for head, weight in config.class_weights.items()
        }

    @torch.no_grad()
    def context(self) -> GraphContext:
        """The bank's posts, embedded with the weights of when it was last forgotten."""
        if self.frozen is None:
            self.model.eval()
            parts = [self.bank[start : start + 64] for start in range(0, len(self.bank), 64)]
            posts = self.model.embed_all(self.data, parts)
            self.frozen = self.model.head.context(posts, self.model.head.set_biases(posts))
            if self.kept is not None:
                self.frozen = self.frozen.beside(self.kept.context(self.model.head))
        return self.frozen

    def forget_context(self) -> None:
        """Whenever the state is saved: a run that goes on from there then embeds the bank by the same weights."""
        self.frozen = None

    def seconds_a_step(self, epochs: list[list[list[int]]]) -> float:
        """What a step takes on this machine, from some of the first epoch; no weight changes."""
        self.context()
        batches = epochs[0]
        taken = []
        for number in range(_PROBE_STEPS):
            began = time.monotonic()
            self.backward(0, batches[number * len(batches) // _PROBE_STEPS])
            taken.append(time.monotonic() - began)
        self.optimiser.zero_grad()
        return statistics.mean(taken[1:] or taken)

    def step(self, number: int, rows: list[int]) -> float:
        share = min(1.0, number / (self.config.warmup * self.steps)) * max(0.0, 1 - number / (self.steps + 1))
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * share
        self.optimiser.zero_grad()
        loss = self.backward(number, rows)
        clip_gradients(self.model.parameters(), self.config.clip)
        self.optimiser.step()
        return loss

    def backward(self, number: int, rows: list[int]) -> float:
        """Add a step's gradients; the number seeds all that is drawn."""
        config, model = self.config, self.model
        context = self.context()
        model.train()
        torch.manual_seed(config.seed * 1_000_003 + number)
        batch = self.data.batch(share(rows), config).to(self.device)
        posts = model.embed(batch, dropout=config.dropout, token_dropout=config.token_dropout)
        biases = model.head.set_biases(posts)
        context = replace(context, text_bias=biases[0], picture_bias=biases[1])
        logits = model.head(posts, context)
        loss = task_loss(logits, batch.targets, batch.weights, self.class_weights)
        if len(batch.photos.posts):
            loss = loss + self._photo_loss(batch, posts, context, logits)
        elif model.divided and len(self.data.ordinary):
            loss = loss + model.see_nothing(batch)
        loss = loss + self._probe_loss(model.probe_logits(posts), batch.probe_targets)
        loss = loss + config.lesson_weight * _lesson_loss(logits, batch.lessons)
        if model.divided:
            loss = loss + _tie(posts)
        loss.backward()  # type: ignore[no-untyped-call]
        average_gradients(model)
        return float(loss.detach())

    def _photo_loss(self, batch: Batch, posts: PostTensors, context: GraphContext, logits: dict[str, Tensor]) -> Tensor:
        """The texts that are shown with ordinary pictures too: the same labels, and the same answers as without."""
        chosen = batch.photos.posts
        beside = self.model.with_photos(posts, batch.photos, dropout=self.config.dropout)
        shown = self.model.head(beside, context)
        share = len(chosen) / len(batch.targets)
        loss = share * task_loss(shown, batch.targets[chosen], batch.weights[chosen], self.class_weights)
        lessons = {head: lesson[chosen] for head, lesson in batch.lessons.items()}
        loss = loss + share * self.config.lesson_weight * _lesson_loss(shown, lessons)
        for head, weight in self.config.consistency.items():
            difference = shown[head].softmax(-1) - logits[head][chosen].softmax(-1)
            loss = loss + weight * difference.square().sum() / len(batch.targets)
        return loss + _tie(beside) if self.model.divided else loss

    def _probe_loss(self, logits: dict[str, Tensor], targets: Tensor) -> Tensor:
        return self.config.probe_weight * task_loss(logits, targets, torch.ones_like(targets), {})


def task_loss(logits: dict[str, Tensor], targets: Tensor, weights: Tensor, class_weights: dict[str, Tensor]) -> Tensor:
    """Cross-entropy summed over tasks, unknown labels left out (section 4)."""
    total = targets.new_zeros((), dtype=torch.float32)
    for column, (head, values) in enumerate(logits.items()):
        known = targets[:, column] >= 0
        if known.any():
            losses = functional.cross_entropy(
                values[known], targets[known, column], weight=class_weights.get(head), reduction="none"
            )
            total = total + (losses * weights[known, column]).sum() / len(targets)
    return total


def _lesson_loss(logits: dict[str, Tensor], lessons: dict[str, Tensor]) -> Tensor:
    """Cross-entropy with the teachers' probabilities, summed over tasks."""
    total = next(iter(logits.values())).new_zeros(())
    for head, lesson in lessons.items():
        asked = ~lesson[:, 0].isnan()
        if asked.any():
            total = total - (lesson[asked] * logits[head][asked].log_softmax(-1)).sum() / len(lesson)
    return total


def _tie(posts: PostTensors) -> Tensor:
    """Nothing ``[]``, from all embeddings: each encoder has gradients in every process, whatever its posts teach."""
    parts = (posts.text, posts.text_global, posts.picture, posts.picture_global)
    return 0.0 * torch.stack([part.float().sum() for part in parts]).sum()


def _note(work: Path, **values: float) -> None:
    if place() > 0:
        return
    with (work / METRICS).open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(values) + "\n")
