"""Encoders divided among the processes of a run: the same checkpoint as if each held them whole."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mmorient import Moderator, Post
from tests.mmorient import tiny_folders
from tests.mmorient.training.encoder_runs import same_tensors, write_posts
from tests.mmorient.training.forked import forked
from tests.mmorient.training.test_several import places, processes

# Broken off at a step in every process at once, as by an operator; else as the command is. The state that the first
# step left is kept, where it was written.
CHILD = """
import shutil, sys
from mmorient.training.fitting import joint_training
from mmorient.training.fitting.several import place
note, last = joint_training._note, int(sys.argv.pop(1))
def interrupted(work, **values):
    note(work, **values)
    written = work / "state.safetensors"
    if values["step"] == 2 and place() == 0 and written.exists():
        shutil.copy(written, work / "first.safetensors")
    if values["step"] == last:
        print("interrupted", flush=True)
        sys.exit(0)
joint_training._note, joint_training._PROBE_STEPS = interrupted, 1
from mmorient.cli import mmorient
mmorient(sys.argv[1:])
"""
# A layer that is whole in both processes, and one of five rows that they divide.
LAYERS = """
import torch
from pathlib import Path
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from mmorient.training.fitting import several
from mmorient.training.fitting.parts import clip_gradients, is_divided
from mmorient.training.fitting.resuming import TrainingState, load_state, save_state
several.join(torch.device("cpu"))
mesh = init_device_mesh("cpu", (2,))
def made(divided):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Linear(5, 1))
    if divided:
        fully_shard(model[0], mesh=mesh).set_force_sum_reduction_for_comms(True)
    groups = [{"params": list(layer.parameters())} for layer in model]
    return model, torch.optim.AdamW(groups, fused=True)
posts = torch.tensor([[1.0, 2.0, 3.0]]) * (several.place() + 1)
for name in ("whole", "divided"):
    Path(name).mkdir(exist_ok=True)
    model, optimiser = made(name == "divided")
    model(posts).square().sum().backward()
    several.average_gradients(model)
    clip_gradients(model.parameters(), 0.5)
    optimiser.step()
    save_state(Path(name), model, optimiser, TrainingState(step=1, processes=2))
model, optimiser = made(True)
state = TrainingState()
assert load_state(Path("whole"), model, optimiser, state) and state.step == 1 and state.processes == 2
assert is_divided(model[0].weight) and not is_divided(model[1].weight)
Path("again").mkdir(exist_ok=True)
save_state(Path("again"), model, optimiser, state)
several.leave()
"""
FEW: dict[str, Any] = {
    "epochs": 2,
    # Two posts for each process, of which often none has a picture.
    "rows": 4,
    "trunk": [16, 8],
    "swaps": 0,
    "average": 2,
    "bank_steps": 5,
    "log_steps": 1,
    "rate": 1e-3,
    "picture_tuning": "full",
    # Gradients that are clipped depend on the order in which their squares are added up.
    "clip": 1e9,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Posts and two encoders."""
    (tmp_path / "data").mkdir()
    write_posts(tmp_path / "data")
    tiny_folders.write_bert(tmp_path / "text")
    tiny_folders.write_vit(tmp_path / "picture")
    return tmp_path


def command(folder: Path, out: str, last: int = -1, **changes: Any) -> list[str]:
    """A run's, whose configuration is written."""
    fields = FEW | {"name": "two"} | changes
    lines = [f"{name} = {json.dumps(value)}" for name, value in fields.items()]
    (folder / f"{out}.toml").write_text("\n".join([*lines, "[bank]", "ours = 4"]))
    named = ["--text-encoder", "text", "--picture-encoder", "picture"]
    given = ["--config", f"{out}.toml", "--out", out, "--work", f"work-{out}", *named]
    return [str(last), "train", "data", *given]


def side_by_side(arguments: list[str], folder: Path) -> None:
    """Run a command in two processes."""
    ended = forked(CHILD, arguments, folder, places(2))
    assert [one.code for one in ended] == [0, 0], ended


def alone(arguments: list[str], folder: Path) -> str:
    """Run a command in one process; what it says."""
    (ended,) = forked(CHILD, arguments, folder, [{}])
    assert ended.code == 0, ended.said
    return ended.said


# A number that is added to all keys changes no attention: the gradient is rounding alone, which Adam makes a step of.
NOISE = ("key.bias", "k_proj.bias")


def distance(one: Path, other: Path) -> float:
    """The largest difference between two checkpoints' weights, but for those that only follow rounding."""
    found = 0.0
    for name in ("embedding.safetensors", "head.safetensors"):
        a, b = load_file(one / name), load_file(other / name)
        assert a.keys() == b.keys()
        kept = [key for key in a if not key.endswith(NOISE)]
        found = max(found, *(float((a[key].float() - b[key].float()).abs().max()) for key in kept))
    return found


def moments_of(state: Path) -> dict[str, torch.Tensor]:
    """The optimiser's, of a run's state."""
    return {key: value for key, value in load_file(state).items() if key.startswith("optimiser.")}


def test_a_divided_layer_learns_the_same(tmp_path: Path) -> None:
    """Gradients are clipped by the norm of the whole; its state is written whole, and read into parts."""
    processes(["-c", LAYERS], tmp_path)
    whole, divided, again = (load_file(tmp_path / name / "state.safetensors") for name in ("whole", "divided", "again"))
    assert whole.keys() == divided.keys() == again.keys()
    assert whole["model.0.weight"].shape == (5, 3)
    assert all(torch.allclose(whole[name], divided[name], atol=1e-6) for name in whole)
    assert all(torch.equal(whole[name], again[name]) for name in whole)


@pytest.mark.soak
def test_divided_encoders_learn_the_same(folder: Path) -> None:
    """As those that both processes hold whole, to the last digits of fp32, where nothing is clipped.

    The first step's gradients show it best: the weights are still the same bits. From then on Adam divides rounding by
    a gradient that may be as small, and each step adds to it what the processor's vector instructions make of it.
    """
    for sharding in ("none", "full"):
        processes(["-c", CHILD, *command(folder, sharding, sharding=sharding, bank_steps=1)], folder)
    whole, divided = (moments_of(folder / f"work-{name}" / "first.safetensors") for name in ("none", "full"))
    assert whole.keys() == divided.keys()
    for name, moments in whole.items():
        rounding = 1e-5 * float(moments.abs().max()) + 1e-8
        assert float((moments - divided[name]).abs().max()) < rounding, name
    # What one step moves a weight by, after 24 of them.
    assert distance(folder / "none", folder / "full") < FEW["rate"]
    assert Moderator.from_checkpoint(folder / "full").label([Post("love")])


@pytest.mark.soak
@pytest.mark.parametrize(
    "changes",
    [
        {"clip": 0.5},
        {"ordinary": ["ours"], "photos": 0.5},
        {"ordinary": ["ours"], "photos": 0.5, "clip": 0.5, "gradient_checkpointing": True},
        {"fine_tuning": "lora", "picture_tuning": "lora", "clip": 0.5},
        {"fine_tuning": "lora", "picture_tuning": "frozen", "features": False},
        {"fine_tuning": "frozen", "picture_tuning": "full", "context": "batch"},
    ],
    ids=["clipped", "photos", "all", "lora", "frozen", "batch"],
)
def test_divided_encoders_learn_nearly_the_same(folder: Path, changes: dict[str, Any]) -> None:
    """But for the order of some sums, whatever learns and whatever a process' posts lack."""
    for sharding in ("none", "full"):
        side_by_side(command(folder, sharding, **changes, sharding=sharding), folder)
    assert distance(folder / "none", folder / "full") < 2e-3


@pytest.mark.soak
def test_another_number_of_processes_goes_on_with_a_run(folder: Path) -> None:
    """From two that divide the encoders to one, and back; the same number ends in the same bits."""
    side_by_side(command(folder, "whole", sharding="full"), folder)
    side_by_side(command(folder, "same", last=13, sharding="full"), folder)
    side_by_side(command(folder, "same", sharding="full"), folder)
    assert same_tensors(folder / "whole", folder / "same")
    side_by_side(command(folder, "fewer", last=13, sharding="full"), folder)
    said = alone(command(folder, "fewer", sharding="full"), folder)
    assert "begun by 2 processes, now 1" in said
    assert "going on at step 12 of 24" in said
    two, one = (load_file(folder / f"work-{name}" / "state.safetensors") for name in ("whole", "fewer"))
    moved = max(float((two[name] - one[name]).abs().max()) for name in two if name.startswith("model."))
    assert 0 < moved < 0.1
    alone(command(folder, "more", last=13, sharding="full"), folder)
    side_by_side(command(folder, "more", sharding="full"), folder)
    assert Moderator.from_checkpoint(folder / "more").label([Post("love")])
