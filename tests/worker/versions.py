"""Other versions of the worker, for tests that let two of them share a group: the next one, and one of before."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("worker", "schemas", "mmorient")
# A commit that was released: its workers are what an upgrade finds running.
PAST = "4aa28ef"
# What it imports and nothing installs any more. It fetches no pictures here.
PAST_NEEDS = {
    "httpx_secure.py": (
        "class SSRFProtectionError(Exception): ...\n\n\ndef httpx_ssrf_protection(client):\n    return client\n"
    )
}
# Settings of all workers of tests that it does not know.
PAST_SETTINGS = {"BATCH__MAX_CALL_TOKENS": None, "BATCH__MAX_CALL_PICTURES": None}

# What a next version may do to everything that versions share: file, what stands there, what stands there then.
NEXT = (
    # A field more in every label, and in every reason of a dead letter.
    (
        "schemas/label.py",
        "    modalities: Modalities\n",
        '    modalities: Modalities\n    reviewed_by: str = "nobody"\n',
    ),
    (
        "worker/output/label_bytes.py",
        "_encoded(labels.modalities), b'",
        '_encoded(labels.modalities) + b\',"reviewed_by":"nobody"\', b\'',
    ),
    (
        "schemas/dead_letter.py",
        "    stage: str = Field(",
        '    worker: str = Field("next", serialization_alias="__connect.errors.worker")\n    stage: str = Field(',
    ),
    # Another version of the note beside the offset, with a field more.
    ("worker/intake/journal.py", "VERSION = 1\n", "VERSION = 2\n"),
    (
        "worker/intake/journal.py",
        "    version: int = VERSION\n",
        '    version: int = VERSION\n    written_by: str = "next"\n',
    ),
    # Entries of another form in the cache.
    ("worker/labelling/cache/entries.py", 'FORMAT = b"3"\n', 'FORMAT = b"4"\n'),
    # More that a member says of itself.
    ("worker/broker/group_members.py", '"worker": worker}', '"worker": worker, "release": "next"}'),
    # A setting that the version before does not know.
    (
        "worker/settings/kafka.py",
        "    posts_topic: str = Field(",
        '    of_the_next: str = Field("", description="new")\n    posts_topic: str = Field(',
    ),
)
NEXT_SETTING = {"KAFKA__OF_THE_NEXT": "x"}


def next_version(folder: Path) -> Path:
    """Fill `folder` with a version of the worker that changes whatever a next one may change; return it."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("checkpoints"))
    (folder / "mmorient" / "checkpoints").symlink_to(ROOT / "mmorient" / "checkpoints")
    for name, before, after in NEXT:
        file = folder / name
        text = file.read_text(encoding="utf-8")
        assert text.count(before), f"{name} has no {before!r} to change any more"
        file.write_text(text.replace(before, after, 1), encoding="utf-8")
    return folder


def past_version(folder: Path) -> Path | None:
    """Fill `folder` with the worker as it was at `PAST`; None where this is no clone that reaches so far back."""
    git = ["git", "-C", str(ROOT)]
    if subprocess.run([*git, "cat-file", "-e", f"{PAST}^{{commit}}"], capture_output=True, check=False).returncode:
        return None
    folder.mkdir()
    archive = folder / "past.tar"
    subprocess.run([*git, "archive", "-o", str(archive), PAST, *PACKAGES], check=True)
    shutil.unpack_archive(archive, folder, filter="data")
    archive.unlink()
    for name, text in PAST_NEEDS.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def variables(version: Path) -> dict[str, str]:
    """Return the environment variables with which Python takes the worker from a version's folder."""
    # Safe: not from the current folder, which would come first.
    return {"PYTHONPATH": str(version), "PYTHONSAFEPATH": "1"}
