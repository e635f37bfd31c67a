"""What each part brings: the table of the paper, every row trained alike on posts with a text and a picture.

Encoders stay as they were pretrained, so that rows differ by their parts alone; the rest is trained for the same number
of passes over the same posts in the same order.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from mmorient.encoders.efficientnet import REGION_WIDTH
from mmorient.encoders.minilm import mean_over
from mmorient.labels import TASKS
from mmorient.network.hima import ElementAttention
from mmorient.network.mlc import MultifeatureClassifier
from mmorient.network.mm_orient import GraphContext, MmOrient, ModelSizes, PostTensors
from mmorient.training.data.examples import TRAIN, VAL
from mmorient.training.fitting.batches import TrainingSet
from mmorient.training.fitting.joint_training import task_loss
from mmorient.training.fitting.pretrained import pretrained_text
from mmorient.training.judging.metrics import macro_f1

_log = logging.getLogger(__name__)
Graph = Literal["self", "bank", "batch"]
_ROWS, _RATE, _DROPOUT, _TRUNK = 64, 5e-4, 0.3, (320, 128)
_BANK = 768


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        branches: What each classifier sees; the logits of several are averaged (late fusion).
        hima: Attention over words, regions and posts in the place of means.
        graph: Whom CMRL compares a post with; None leaves CMRL out.
    """

    name: str
    branches: tuple[tuple[str, ...], ...]
    hima: bool = False
    graph: Graph | None = None


ROWS = (
    Row("text only", (("text",),)),
    Row("picture only", (("picture",),)),
    Row("late fusion", (("text",), ("picture",))),
    Row("feature fusion", (("text", "picture"),)),
    Row("+ HIMA", (("text", "picture"),), hima=True),
    Row("+ CMRL, bank", (("text", "picture"),), graph="bank"),
    Row("all, self", (("text", "picture"),), hima=True, graph="self"),
    Row("all, bank", (("text", "picture"),), hima=True, graph="bank"),
    Row("all, batch", (("text", "picture"),), hima=True, graph="batch"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Macro-F1 on the validation posts in percent by ``source/task``, one a seed."""

    row: str
    scores: Mapping[str, list[float]]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def ablate(data: TrainingSet, *, seeds: int, epochs: int) -> Iterator[Outcome]:
    """Train and score every row.

    Args:
        data: Its posts with a text and a picture are used.
        seeds: Trainings of each row; the seed decides initial weights, order and dropout.
        epochs: Passes over the training posts.
    """
    posts = _Posts(data)
    for row in ROWS:
        scores: dict[str, list[float]] = {}
        for seed in range(seeds):
            for name, value in _train_row(row, posts, seed, epochs).items():
                scores.setdefault(name, []).append(value)
        outcome = Outcome(row.name, scores)
        _log.info("%s", table([outcome]).splitlines()[-1])
        yield outcome


def table(outcomes: Sequence[Outcome]) -> str:
    """As Markdown: mean and standard deviation over the seeds, the best mean of a column in bold."""
    names = list(outcomes[0].scores)
    means = {name: [float(np.mean(one.scores[name])) for one in outcomes] for name in names}
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for place, one in enumerate(outcomes):
        cells = []
        for name in names:
            text = f"{means[name][place]:.1f}"
            text = f"**{text}**" if means[name][place] == max(means[name]) else text
            cells.append(f"{text} ± {np.std(one.scores[name]):.1f}")
        lines.append(f"| {one.row} | {' | '.join(cells)} |")
    return "\n".join(lines)


class _Posts:
    """Posts with both modalities, as the frozen encoders see them."""

    def __init__(self, data: TrainingSet) -> None:
        both = np.flatnonzero(data.has_text & (data.picture_row >= 0))
        self.data, self.heads = data, task_columns(data)
        splits = np.array([example.split for example in data.examples])
        self.learned, self.validated = both[splits[both] == TRAIN], both[splits[both] == VAL]
        self.states = _token_states(data, both)
        self.class_weights = {
            head: _balanced(data.targets[self.learned][:, place]) for place, head in self.heads.items()
        }

    def texts(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Token states ``[b, t, 384]`` and their mask ``[b, t]``."""
        own = [self.states[row].float() for row in rows.tolist()]
        states = nn.utils.rnn.pad_sequence(own, batch_first=True)
        lengths = torch.tensor([len(one) for one in own])
        return states, torch.arange(states.shape[1])[None] < lengths[:, None]


class _AblatedModel(nn.Module):
    def __init__(self, row: Row, heads: Mapping[str, int]) -> None:
        super().__init__()
        self.row = row
        sizes = ModelSizes(heads=dict(heads), batch_bias=row.hima, dropout=_DROPOUT)
        self.parts = MmOrient(sizes)
        self.text_attention, self.picture_attention = ElementAttention(384), ElementAttention(REGION_WIDTH)
        for attention in (self.text_attention, self.picture_attention, self.parts.text_set, self.parts.picture_set):
            nn.init.normal_(attention.kernel, std=0.02)
        graphs = 4 * sizes.global_vector
        places = {
            "graphs": range(graphs),
            "picture": range(graphs, graphs + sizes.picture_vector),
            "text": range(graphs + sizes.picture_vector, graphs + sizes.picture_vector + sizes.text_vector),
        }
        seen = [("graphs", *branch) if row.graph else branch for branch in row.branches]
        self.columns = [torch.tensor([place for part in branch for place in places[part]]) for branch in seen]
        self.classifiers = nn.ModuleList(
            MultifeatureClassifier(len(columns), _TRUNK, heads, _DROPOUT) for columns in self.columns
        )

    def posts(self, posts: _Posts, rows: NDArray[np.int64]) -> PostTensors:
        states, mask = posts.texts(rows)
        files = posts.data.picture_row[rows]
        regions = torch.from_numpy(posts.data.regions[files].astype(np.float32))
        there = torch.ones(len(rows), dtype=torch.bool)
        means = mean_over(states, mask)
        return PostTensors(
            self.text_attention(states, mask).vector if self.row.hima else means,
            functional.normalize(means, dim=-1),
            there,
            self.picture_attention(regions).vector if self.row.hima else regions.mean(1),
            posts.data.picture_globals[files],
            there,
        )

    def context(self, own: PostTensors, bank: PostTensors | None) -> GraphContext:
        """Of a batch; without a bank, the batch itself."""
        if self.row.graph == "batch" or bank is None:
            return self.parts.batch_context(own)
        context = self.parts.context(bank, self.parts.set_biases(bank if not self.training else own))
        return context if self.row.graph == "bank" else context.alone()

    def forward(self, own: PostTensors, context: GraphContext) -> dict[str, Tensor]:
        everything = self.parts.multifeature(own, context)
        answers = [
            classifier(everything[:, columns])
            for classifier, columns in zip(self.classifiers, self.columns, strict=True)
        ]
        return {head: torch.stack([answer[head] for answer in answers]).mean(0) for head in answers[0]}


def _train_row(row: Row, posts: _Posts, seed: int, epochs: int) -> dict[str, float]:
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    data = posts.data
    model = _AblatedModel(row, {head: len(TASKS[head].classes) for head in posts.heads.values()})
    optimiser = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=0.05)
    bank_rows = np.sort(random.permutation(posts.learned)[:_BANK])
    steps = epochs * -(-len(posts.learned) // _ROWS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps + 1, pct_start=0.1)
    columns = list(posts.heads)
    for _ in tqdm(range(epochs), desc=f"{row.name}, seed {seed}", leave=False, disable=None):
        model.train()
        with torch.no_grad():
            bank = None if row.graph == "batch" else model.posts(posts, bank_rows)
        order = random.permutation(posts.learned)
        for start in range(0, len(order), _ROWS):
            rows = order[start : start + _ROWS]
            own = model.posts(posts, rows)
            logits = model(own, model.context(own, bank))
            targets = data.targets[rows][:, columns]
            loss = task_loss(logits, targets, torch.ones_like(targets), posts.class_weights)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return _scores(model.eval(), posts, bank_rows)


@torch.no_grad()
def _scores(model: _AblatedModel, posts: _Posts, bank_rows: NDArray[np.int64]) -> dict[str, float]:
    bank = None if model.row.graph == "batch" else model.posts(posts, bank_rows)
    answers: dict[str, list[Tensor]] = {}
    for start in range(0, len(posts.validated), _ROWS):
        own = model.posts(posts, posts.validated[start : start + _ROWS])
        for head, values in model(own, model.context(own, bank)).items():
            answers.setdefault(head, []).append(values.argmax(1))
    said = {head: torch.cat(values).numpy() for head, values in answers.items()}
    sources = np.array([posts.data.examples[row].source for row in posts.validated])
    scores = {}
    for place, head in posts.heads.items():
        truth = posts.data.targets[posts.validated][:, place].numpy()
        for source in dict.fromkeys(sources.tolist()):
            known = (truth >= 0) & (sources == source)
            if known.any():
                score = macro_f1(truth[known], said[head][known], len(TASKS[head].classes))
                scores[f"{source}/{head}"] = round(100 * score, 2)
    return dict(sorted(scores.items()))


def task_columns(data: TrainingSet) -> dict[int, str]:
    """Column of the targets to task, the degrees left out."""
    return {place: head for place, head in enumerate(data.heads) if head in TASKS}


@torch.no_grad()
def _token_states(data: TrainingSet, rows: NDArray[np.int64]) -> dict[int, Tensor]:
    """fp16 ``[t, 384]`` a post."""
    bert = pretrained_text()
    order = rows[np.argsort(data.tokens.lengths()[rows], kind="stable")]
    states: dict[int, Tensor] = {}
    for start in tqdm(range(0, len(order), 32), desc="texts", leave=False, disable=None):
        chunk = order[start : start + 32].tolist()
        tokens, mask = data.tokens.batch(chunk)
        for row, own, there in zip(chunk, bert(tokens, mask), mask, strict=True):
            states[row] = own[there].half()
    return states


def _balanced(targets: Tensor) -> Tensor:
    """Weights that let every class of a task count alike."""
    counts = torch.bincount(targets[targets >= 0]).float()
    return counts.sum() / (len(counts) * counts.clamp(min=1))
