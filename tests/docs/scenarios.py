"""What each page takes for granted. A page with commands that is not named here fails its test."""

import itertools
import json
import shutil
import time
from datetime import UTC, datetime, timedelta

from tests.deploy import tools
from tests.docs.pages import ROOT
from tests.docs.scene import Scenario, Scene
from tests.docs.secured import secured_broker
from tests.worker.checkpoints import recalibrated

_SETTLE_SECONDS = 180.0
# Speeds, and what depends on them.
_DEMO = (r"\d+\.\d+ s\b",)
# The pages' port is an option here.
_GIVEN = (r"\d+(?= of \d+ settings are given)",)
# Of records that were written in whatever transactions there were.
_MOMENTS = (r"(?<=\]@)\d+",)
# Records without a key go to any partition.
_NEWEST = (r"(?<=newest posts\.dead-letter\[)\d+\]@\d+",)
# Of weights that were trained here: which digits they end in is the processor's.
_TRAINED = (r" *\d+\.\d+",)
_POSTS = 100  # of which a shadow's share is some


def broker(scene: Scene) -> None:
    """A broker and a Redis are up."""
    scene.do("moderate stack up")


def stack(scene: Scene) -> None:
    """A broker and a Redis are up, with topics."""
    broker(scene)
    scene.do("moderate topics create --partitions 4")


def new_checkpoint(scene: Scene) -> None:
    """`models/new` and `models/old` are there: the shipped one with other temperatures, and the shipped one."""
    (scene.folder / "models").mkdir(exist_ok=True)
    recalibrated(scene.folder / "models" / "new", 1.6)
    (scene.folder / "models" / "old").symlink_to(ROOT / "mmorient" / "checkpoints" / "compact")


def a_worker(scene: Scene) -> None:
    """A worker runs, in another terminal than the page's."""
    scene.worker = scene.shell.start("moderate run")
    scene.do(f"curl -sf --retry 240 --retry-delay 1 --retry-all-errors 127.0.0.1:{scene.port}/readyz")


def posts(scene: Scene) -> None:
    """Posts are on the topic, one of them called p-1017."""
    lines = [
        json.dumps({"id": f"p-{number}", "text": f"oh great, monday number {number}"})
        for number in range(1000, 1000 + _POSTS)
    ]
    (scene.folder / "given.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    scene.do("moderate import given.jsonl --name given")


def labelled(scene: Scene) -> None:
    """Posts are on the topic, and their labels beside them; with a shadow, the shadow's too."""
    posts(scene)
    _wait(scene, "moderate labels p-1017")
    _wait(scene, f"curl -s 127.0.0.1:{scene.port}/metrics | grep '^moderate_posts_labelled_total {_POSTS}'")


def labelled_by_both(scene: Scene) -> None:
    """As above, with a shadow that saw some of the posts."""
    _wait(scene, f"curl -s 127.0.0.1:{scene.port}/metrics | grep '^moderate_shadow_ready 1'")
    labelled(scene)
    _wait(scene, "MODERATE_LOG__LEVEL=error moderate diff --no-posts 'labels.{task}' 'labels.{task}.shadow'")


def dead_letters(scene: Scene) -> None:
    """Posts that are too long, and no posts, are on the topic; the worker has dead-lettered them."""
    long = [json.dumps({"id": f"p-{29 + number}", "community": "cooking", "text": "a" * 30_000}) for number in range(8)]
    (scene.folder / "given.jsonl").write_text("\n".join([*long, "\x1b[31m evil"]) + "\n", encoding="utf-8")
    scene.shell.run("export MODERATE_BATCH__MAX_TEXT_CHARS=20000", 60)
    a_worker(scene)
    scene.do("moderate import given.jsonl --name given --malformed send")
    _wait(scene, "moderate dead-letters list | grep '^9 dead letters'")


def kubectl(scene: Scene) -> None:
    """kubectl is there, or the test is skipped with the reason."""
    del scene
    tools.kubectl()


def mended(scene: Scene) -> None:
    """The limit is raised and the worker started again."""
    scene.end_worker()
    scene.do("unset MODERATE_BATCH__MAX_TEXT_CHARS")
    a_worker(scene)


def archive(scene: Scene) -> None:
    """`archive/` holds posts."""
    (scene.folder / "archive").mkdir(exist_ok=True)
    lines = [json.dumps({"id": f"a-{number}", "text": f"a post of the past, number {number}"}) for number in range(12)]
    (scene.folder / "archive" / "2023.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def two_label_files(scene: Scene) -> None:
    """`old.jsonl` and `new.jsonl` are the labels of two checkpoints."""
    new_checkpoint(scene)
    scene.do("mmorient label samples/posts.jsonl --output old.jsonl")
    scene.do("mmorient label samples/posts.jsonl --checkpoint models/new --output new.jsonl")


def own_posts(scene: Scene) -> None:
    """`DATA` is a folder of labelled posts, `ours` a checkpoint to be calibrated."""
    (scene.folder / "DATA").mkdir()
    said = (
        ("rains on my parade again", "negative,sarcastic"),
        ("sings like a bird in spring", "positive,not_sarcastic"),
    )
    whose = (("train", "he"), ("val", "she"), ("val", "it"))
    rows = [f"{who} {what},{split},{labels}" for split, who in whose for what, labels in said]
    (scene.folder / "DATA" / "ours.csv").write_text(
        "\n".join(["text,split,sentiment,sarcasm", *rows]) + "\n", encoding="utf-8"
    )
    shutil.copytree(ROOT / "mmorient" / "checkpoints" / "compact", scene.folder / "ours")


def encoder_folders(scene: Scene) -> None:
    """What would have been downloaded: tiny random encoders of the same families; `DATA` has posts, `MORE` is there."""
    from tests.mmorient.tiny_folders import write_dinov2, write_xlm_roberta

    write_xlm_roberta(scene.folder / "models" / "xlm-roberta-base")
    write_dinov2(scene.folder / "models" / "dinov2-base")
    (scene.folder / "DATA").mkdir()
    (scene.folder / "MORE").mkdir()
    who = ("rain", "sun", "dog", "cat", "tea", "bus", "town", "song", "road", "bread")
    rows = ["text,split,offensiveness"]
    for number, (one, other) in enumerate(itertools.permutations(who, 2)):
        said, label = (("love", "not_offensive"), ("hate", "offensive"))[number % 2]
        label = label if number % 7 else "offensive"  # nothing is sure
        rows.append(f"{said} {one} {other} {number},{'val' if number % 3 else 'train'},{label}")
    (scene.folder / "DATA" / "ours.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def secured(scene: Scene) -> None:
    """A broker asks for a log-in over TLS; `ca.pem` is its authority."""
    folder = scene.folder.parent / "secured"
    scene.notes["broker"] = scene.end.enter_context(secured_broker(folder, "moderation", "correct-horse-battery"))
    shutil.copy(folder / "ca.pem", scene.folder / "ca.pem")


def _wait(scene: Scene, command: str) -> None:
    deadline = time.monotonic() + _SETTLE_SECONDS
    while (done := scene.shell.run(command, 60.0)).status != 0:
        assert time.monotonic() < deadline, f"{command}: {done.output[-2000:]}"
        time.sleep(0.2)


def _ago(*, hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _letter(scene: Scene) -> dict[str, str]:
    """Return the dead letter of the post that is no JSON."""
    letters = json.loads(scene.do("moderate dead-letters list --by letter --json"))["groups"]
    return next(letter for letter in letters if "characters" not in letter["error"])


def _kafka(scene: Scene) -> str:
    return str(json.loads(scene.do("moderate stack status --json"))["kafka"])


def _redis(scene: Scene) -> str:
    return str(json.loads(scene.do("moderate stack status --json"))["redis"])


# What may be made for a page of which only a part is played.
WITHOUT_SERVER = {new_checkpoint, archive, two_label_files, own_posts, encoder_folders}

SCENARIOS: dict[str, Scenario] = {
    "README.md": Scenario(
        replaced={"broker:9092": _kafka, "redis://cache:6379/0": _redis, "make demo": lambda _: "moderate demo"},
        varies=_DEMO,
        unordered=("make demo",),
        quick=("echo",),
    ),
    "docs/index.md": Scenario(quick=("",), servers=False),
    "docs/tutorial.md": Scenario(varies=_MOMENTS, quick=('echo \'{"id": "p-0"',)),
    "docs/how-to/archives.md": Scenario(before=(archive,), quick=("",), servers=False),
    "docs/how-to/compare.md": Scenario(before=(two_label_files,), statuses={"moderate diff": (3,)}, servers=False),
    "docs/how-to/own-posts.md": Scenario(
        parsed={
            "mmorient fairness": "tests/mmorient/training/test_fairness.py",
            "mmorient ablate": "tests/mmorient/training/test_joint_training.py",
        },
        varies=_TRAINED,
        quick=("python - <<", "head -3"),
        servers=False,
    ),
    "docs/how-to/thresholds.md": Scenario(servers=False),
    "docs/how-to/page.md": Scenario(
        before=(own_posts,),
        parsed={
            "moderate serve": "tests/worker/serving/page/test_in_a_browser.py",
            "moderate demo --page": "tests/worker/commands/demo/test_demo.py",
            "moderate verdicts export": "tests/worker/commands/verdicts/test_export.py",
            "mmorient calibrate ours --verdicts": "tests/mmorient/training/test_verdicts.py",
            "mmorient train DATA --verdicts": "tests/mmorient/training/test_verdicts.py",
        },
        servers=False,
    ),
    "docs/how-to/own-checkpoint.md": Scenario(before=(new_checkpoint, stack)),
    "docs/how-to/own-encoders.md": Scenario(
        before=(encoder_folders, stack),
        parsed={
            "mmorient train DATA --config": "tests/mmorient/training/test_paper_protocol.py",
            "mmorient train MORE --start": "tests/mmorient/training/test_continuing.py",
        },
    ),
    "docs/how-to/policies.md": Scenario(before=(broker,)),
    "docs/how-to/audit.md": Scenario(before=(stack, a_worker, labelled)),
    "docs/how-to/secured-kafka.md": Scenario(
        before=(secured,), replaced={"broker.example:9094": lambda scene: scene.notes["broker"]}
    ),
    "docs/how-to/serve.md": Scenario(servers=False),
    "docs/how-to/from-perspective.md": Scenario(servers=False),
    "docs/backfill.md": Scenario(before=(new_checkpoint, stack, posts)),
    "docs/new-checkpoint.md": Scenario(
        before=(new_checkpoint, own_posts, stack),
        ahead={"curl -s 127.0.0.1:8080/metrics | grep ^moderate_shadow": labelled_by_both},
        statuses={"moderate diff": (0, 3)},
        # Of the page's day: what was written within the last hour.
        replaced={
            "2026-11-21T17:00:00Z": lambda _: _ago(hours=1),
            "2026-11-21T18:00:00Z": lambda _: _ago(hours=0),
            "2026-11-21T18:12:00Z": lambda _: _ago(hours=0),
        },
        parsed={"mmorient fairness": "tests/mmorient/training/test_fairness.py"},
    ),
    "docs/dead-letters.md": Scenario(
        before=(stack, dead_letters),
        varies=_NEWEST,
        ahead={"moderate dead-letters replay --error characters --limit": mended},
        replaced={
            "posts.dead-letter[0]@4": lambda scene: _letter(scene)["dead_letter"],
            "posts[0]@21": lambda scene: _letter(scene)["post"],
        },
    ),
    "docs/how-to/kubernetes.md": Scenario(before=(kubectl,)),
    "docs/scaling.md": Scenario(parsed={"moderate run --processes": "tests/worker/test_processes.py"}, servers=False),
    "docs/upgrades.md": Scenario(
        before=(kubectl, stack), replaced={"/opt/moderation-0.2.0/bin": lambda _: ".venv/bin"}
    ),
    "docs/doctor.md": Scenario(varies=_GIVEN, statuses={"MODERATE_KAFKA_GROUP_ID=x": (1,)}),
    "deploy/README.md": Scenario(before=(kubectl,), replaced={"deploy/build_image.sh": lambda _: "build_image"}),
    "deploy/runbook.md": Scenario(
        before=(kubectl, stack, dead_letters),
        varies=_NEWEST,
        statuses={"moderate dead-letters show --stage poison": (0, 1)},
        # Partitions stand in the order in which they were opened.
        unordered=("curl -s 127.0.0.1:8080/metrics | grep -E '^moderate_(topic_partitions",),
    ),
    "docs/reference/posts.md": Scenario(servers=False),
    "docs/reference/http.md": Scenario(before=(stack, a_worker)),
    "docs/reference/exit-codes.md": Scenario(servers=False),
    "docs/explanation/labels-and-neighbours.md": Scenario(servers=False),
}
