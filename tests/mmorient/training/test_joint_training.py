"""Training the whole model: resumed to the same weights, on both kinds of input, to a checkpoint of its own."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from mmorient import TASKS, Moderator, Post, load_reference
from mmorient import package_files as packages
from mmorient.arithmetic.devices import is_fast_in_bf16
from mmorient.cli import mmorient
from mmorient.errors import DataError
from mmorient.training.config import TrainConfig, read_config
from mmorient.training.data.readers import read_all
from mmorient.training.fitting import joint_training
from mmorient.training.fitting.preparing import fresh_model, prepare
from mmorient.training.judging.ablation import ROWS, ablate, table
from mmorient.training.run import train
from tests.mmorient.made_sets import write_sets
from tests.mmorient.tiny_folders import write_shallow_bert
from tests.mmorient.training.joint_runs import CONFIG, CPU


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every set in its layout."""
    root = tmp_path_factory.mktemp("data")
    write_sets(root)
    return root


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders ``out`` and ``work`` of a whole run."""
    root = tmp_path_factory.mktemp("trained")
    train(data, root / "out", root / "work", CONFIG, CPU)
    return root


def test_the_checkpoint_holds_all_that_it_needs(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It labels where no package of encoders is installed, with a bank of training posts, calibrated."""
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    moderator = Moderator.from_checkpoint(trained / "out")
    assert 9 <= len(moderator.bank) <= 12
    assert {"text", "image", "text+image"} == moderator._calibration.heads.keys()
    assert moderator._calibration.heads["text"]["sarcasm"].temperature > 0
    (labels,) = moderator.label([Post("what a lovely day", ())])
    assert set(labels.tasks) == {"sentiment", "humour", "sarcasm", "offensiveness", "motivation"}


def test_the_run_leaves_its_metrics_and_plots(trained: Path) -> None:
    """Losses and paces by step, scores by epoch; curves and reliability as pictures."""
    notes = [json.loads(line) for line in (trained / "work" / "metrics.jsonl").read_text().splitlines()]
    assert [note["step"] for note in notes if "loss" in note] == list(range(5, notes[-1]["step"] + 1, 5))
    assert [note["epoch"] for note in notes if "score" in note] == [0, 1]
    assert all((trained / "work" / name).read_bytes()[:4] == b"\x89PNG" for name in ("curves.png", "reliability.png"))


@pytest.mark.soak
def test_an_interrupted_run_ends_in_the_same_weights(
    data: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off between two saved states, and gone on with in another process's place."""
    note = joint_training._note

    def interrupted(work: Path, **values: float) -> None:
        note(work, **values)
        if values["step"] == 15:
            raise KeyboardInterrupt

    monkeypatch.setattr(joint_training, "_note", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(data, tmp_path / "out", tmp_path / "work", CONFIG, CPU)
    monkeypatch.undo()
    train(data, tmp_path / "out", tmp_path / "work", CONFIG, CPU)
    for name in ("embedding.safetensors", "head.safetensors", "bank.safetensors"):
        whole, resumed = load_file(trained / "out" / name), load_file(tmp_path / "out" / name)
        assert all(torch.equal(whole[key], resumed[key]) for key in whole), name


def train_shallow(data: Path, root: Path) -> None:
    """Folders ``out`` and ``work`` of a run with a BERT of two layers."""
    config = CONFIG.model_copy(update={"epochs": 1, "bert": str(write_shallow_bert(root / "bert", 2))})
    train(data, root / "out", root / "work", config, CPU)


def test_another_bert_may_read_the_texts(data: Path, tmp_path: Path) -> None:
    """The checkpoint says how many layers it has, and labels."""
    train_shallow(data, tmp_path)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["text_encoder"]["layers"] == 2
    (labels,) = Moderator.from_checkpoint(tmp_path / "out").label([Post("oh great, another monday")])
    assert labels.tasks.keys() == TASKS.keys()


@pytest.mark.soak
def test_a_checkpoint_with_another_bert_is_trained_further(data: Path, tmp_path: Path) -> None:
    """As it is: its layers stay those that it has, and its state is no other run's."""
    train_shallow(data, tmp_path)
    further = CONFIG.model_copy(update={"epochs": 1, "fine_tuning": "frozen", "rehearsal": False})
    train(data, tmp_path / "further", tmp_path / "again", further, CPU, start=tmp_path / "out")
    before, after = (load_file(tmp_path / name / "embedding.safetensors") for name in ("out", "further"))
    bert = [name for name in before if name.startswith("text_encoder.bert.")]
    assert len([name for name in bert if name.endswith("query.weight")]) == 2
    assert all(torch.equal(before[name], after[name]) for name in bert)
    with pytest.raises(DataError, match="another configuration and start"):
        train(data, tmp_path / "out", tmp_path / "work", CONFIG.model_copy(update={"epochs": 1}), CPU)


def test_another_configuration_does_not_go_on_with_a_run(data: Path, trained: Path) -> None:
    """The state belongs to what made it."""
    with pytest.raises(DataError, match="another configuration"):
        train(data, trained / "out", trained / "work", CONFIG.model_copy(update={"seed": 1}), CPU)


def test_layers_learn_at_their_own_rates() -> None:
    """The top one at the configured rate, each below at a share, the head at its own."""
    groups = fresh_model(CONFIG).parameter_groups(CONFIG)
    rates = [group["lr"] for group in groups]
    assert rates[5] == pytest.approx(CONFIG.rate)
    assert rates[0] == pytest.approx(CONFIG.rate * CONFIG.layer_decay**5)
    assert rates[6] < rates[0]
    assert rates[7] == CONFIG.head_rate


def test_a_configuration_is_read_strictly(tmp_path: Path) -> None:
    """Unknown and unfit fields are named with their file; what is not said has its default."""
    file = tmp_path / "train.toml"
    file.write_text("epochs = 2\n[take]\nsentiment = 10\n")
    assert read_config(file) == TrainConfig(epochs=2, take={"sentiment": 10})
    for text, wrong in (("epochs = 0", "epochs"), ("epoch = 2", "epoch"), ("epochs =", "train.toml")):
        file.write_text(text)
        with pytest.raises(DataError, match=wrong):
            read_config(file)


def test_bf16_is_the_devices_where_nobody_says_it(trained: Path) -> None:
    """It is part of what a run is, so that a state is not gone on with in another arithmetic."""
    assert TrainConfig().settled(fast_in_bf16=True).bf16 is True
    assert TrainConfig().settled(fast_in_bf16=False).bf16 is False
    assert TrainConfig(bf16=True).settled(fast_in_bf16=False).bf16 is True
    assert not is_fast_in_bf16(torch.device("meta"))
    claimed = json.loads((trained / "work" / "run.json").read_text())
    assert claimed["configuration"]["bf16"] is is_fast_in_bf16(CPU)


def test_calibrate_changes_the_digest_and_nothing_else(data: Path, trained: Path) -> None:
    """``mmorient calibrate`` says what it did and leaves a checkpoint that loads."""
    before = Moderator.from_checkpoint(trained / "out").identity
    weights = (trained / "out" / "head.safetensors").read_bytes()
    given = ["calibrate", str(trained / "out"), str(data), "--source", "irony", "--diagram", str(trained / "x.png")]
    for prior, said in (
        ("humor=0.2", "none of sentiment"),
        ("sentiment=0.2", "they sum to 1"),
        ("sarcasm=a", "no num"),
    ):
        refused = CliRunner().invoke(mmorient, [*given, "--prior", prior])
        assert refused.exit_code == 2
        assert said in " ".join(refused.output.split())
    result = CliRunner().invoke(mmorient, [*given, "--prior", "sarcasm=0.2"])
    assert result.exit_code == 0, result.output
    assert "text       sarcasm" in result.output
    assert Moderator.from_checkpoint(trained / "out").calibration.shares["sarcasm"] == (0.8, 0.2)
    after = Moderator.from_checkpoint(trained / "out").identity
    assert (after.embedding, weights) == (before.embedding, (trained / "out" / "head.safetensors").read_bytes())
    assert after.checkpoint != before.checkpoint
    assert (trained / "x.png").stat().st_size > 1000
    known = load_reference(None, trained / "out")
    assert known is not None
    assert known.checkpoint == after.checkpoint
    assert sum(known.tasks["sarcasm"].labels.values()) == known.posts > 0


@pytest.mark.soak
def test_own_texts_train_a_shipped_checkpoint_further(trained: Path, tmp_path: Path) -> None:
    """A table of a team's own posts, without a picture in it, from the command line to labels."""
    random = np.random.default_rng(0)
    words = ["rain", "sun", "dog", "cat", "tea", "bus", "town", "song", "road", "bread", "chair", "stone"]
    lines = ["text,offensiveness"]
    for n in range(60):
        label, feeling = [("not_offensive", "lovely"), ("offensive", "awful")][n % 2]
        lines.append(f"{feeling} {' '.join(random.choice(words, 6))} {feeling},{label}")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ours.csv").write_text("\n".join(lines))
    (tmp_path / "train.toml").write_text(
        'epochs = 1\nrows = 8\ntrunk = [16, 8]\nswaps = 0\nname = "ours"\n'
        "[take]\nplain = 8\ncontrast = 8\n[bank]\nours = 5\n"
    )
    given = [
        "--config",
        tmp_path / "train.toml",
        "--work",
        tmp_path / "work",
        "--start",
        trained / "out",
        "--teacher",
        trained / "out",
    ]
    arguments = ["train", tmp_path / "data", "--out", tmp_path / "out", *given]
    result = CliRunner().invoke(mmorient, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    moderator = Moderator.from_checkpoint(tmp_path / "out")
    assert moderator.identity.name == "ours"
    before = Moderator.from_checkpoint(trained / "out")
    assert torch.equal(moderator.bank.labels[: len(before.bank)], before.bank.labels)
    assert 0 < len(moderator.bank) - len(before.bank) <= 5
    assert moderator.calibration.heads["text"]["humour"] == before.calibration.heads["text"]["humour"]
    changes = {one["task"]: one for one in json.loads((tmp_path / "work" / "changes.json").read_text())}
    assert {task for task, one in changes.items() if one["named"]} == {"offensiveness"}
    assert changes["motivation"]["posts"] >= 400
    (tmp_path / "data" / "ours.csv").write_text("\n".join([*lines[:-1], "another row of words,offensive"]))
    changed = CliRunner().invoke(mmorient, [str(one) for one in arguments])
    assert isinstance(changed.exception, DataError)
    assert "holds a run with another data;" in str(changed.exception)
    answers = moderator.label([Post("lovely tea and song lovely"), Post("awful tea and song awful")])
    lovely, awful = (one.tasks["offensiveness"].probabilities["offensive"] for one in answers)
    assert awful > lovely


@pytest.mark.soak
def test_ablation_trains_every_row_alike(data: Path, tmp_path: Path) -> None:
    """One score a seed for each task of each set with pictures, in a table with the best in bold."""
    prepared = prepare(read_all(data), CONFIG, tmp_path)
    outcomes = list(ablate(prepared.data, seeds=2, epochs=1))
    assert [one.row for one in outcomes] == [row.name for row in ROWS]
    assert all(len(values) == 2 for one in outcomes for values in one.scores.values())
    assert set(outcomes[0].scores) == {"mvsa/sentiment", *(f"memotion/{task}" for task in TASKS)}
    said = table(outcomes)
    assert said.count("\n") == len(ROWS) + 1
    assert "**" in said
