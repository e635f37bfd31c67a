"""A run of several processes: each has its share of the posts, all have the same weights."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mmorient import Moderator, Post
from mmorient.training.fitting import several
from tests.mmorient import tiny_folders
from tests.tiers import ROOT

# What one of two processes does: its own gradients, then what all have.
CHILD = """
import json, torch
from mmorient.training.fitting import several
several.join(torch.device("cpu"))
model = torch.nn.Linear(2, 1, bias=True)
torch.nn.init.ones_(model.weight)
if several.place() == 0:
    model(torch.tensor([[1.0, 3.0]])).sum().backward()
with several.first_alone():
    with open("order", "a") as file:
        file.write(str(several.place()))
several.average_gradients(model)
print(json.dumps([several.place(), several.share([1, 2, 3, 4, 5]), several.share([7]), model.weight.grad.tolist()]))
several.leave()
"""


def places(count: int) -> list[dict[str, str]]:
    """The variables by which torchrun tells each of so many processes who it is."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def processes(arguments: list[str], folder: Path, count: int = 2) -> list[str]:
    """Run a command in so many processes, as torchrun starts them; what each says."""
    own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=os.environ | own | place,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for place in places(count)
    ]
    said = [one.communicate(timeout=800) for one in started]
    assert [one.returncode for one in started] == [0] * count, said
    return [out for out, _ in said]


def test_alone_all_is_ones_own() -> None:
    """Nothing is shared out where there is one process."""
    assert several.share([1, 2, 3]) == [1, 2, 3]
    assert (several.place(), several.count()) == (0, 1)
    assert several.join(torch.device("cpu")) == torch.device("cpu")


def test_gradients_are_the_mean_and_posts_are_shared_out(tmp_path: Path) -> None:
    """A process whose posts used no weight counts with nothing; the first one goes ahead on the disk."""
    said = sorted(json.loads(out.strip().splitlines()[-1]) for out in processes(["-c", CHILD], tmp_path))
    assert [one[1:] for one in said] == [[[1, 3, 5], [7], [[0.5, 1.5]]], [[2, 4], [7], [[0.5, 1.5]]]]
    assert (tmp_path / "order").read_text() == "01"


@pytest.mark.soak
def test_two_processes_train_one_checkpoint(tmp_path: Path) -> None:
    """The first writes it; gone on with, it ends in the same weights."""
    random, lines = np.random.default_rng(0), ["text,split,offensiveness"]
    words = ["rain", "sun", "dog", "cat", "tea", "bus", "town", "song", "road", "bread"]
    for n in range(40):
        said, label = [("love", "not_offensive"), ("hate", "offensive")][n % 2]
        text = f"{said} {' '.join(random.choice(words, 4))} {said}"
        label = ["not_offensive", "offensive"][(n % 2) ^ (n % 7 == 0)]
        lines.append(f"{text},{'train' if n < 30 else 'val'},{label}")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ours.csv").write_text("\n".join(lines))
    tiny_folders.write_bert(tmp_path / "bert")
    tiny_folders.write_vit(tmp_path / "vit")
    (tmp_path / "train.toml").write_text(
        'name = "two"\nepochs = 2\nrows = 8\ntrunk = [16, 8]\nswaps = 0\naverage = 1\n[bank]\nours = 4\n'
    )
    command = ["-m", "mmorient", "train", "data", "--config", "train.toml"]
    command += ["--text-encoder", "bert", "--picture-encoder", "vit"]
    for out in ("one", "other"):
        processes([*command, "--out", out, "--work", f"work-{out}"], tmp_path)
    files = ("embedding.safetensors", "head.safetensors", "bank.safetensors")
    for name in files:
        one, other = (load_file(tmp_path / out / name) for out in ("one", "other"))
        assert all(torch.equal(one[key], other[key]) for key in one), name
    assert Moderator.from_checkpoint(tmp_path / "one").label([Post("love")])
