"""Doubles of commands that cannot be run as they stand: they check what they are given, and say what they would do.

`python -m tests.docs.doubles NAME ARGUMENT…`. What they check is what a page can get wrong: paths, names, targets.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from tests.docs.pages import ROOT
from worker.commands.options import setting_variables
from worker.settings import Settings

_OVERLAYS = ROOT / "deploy" / "kubernetes" / "overlays"
_KINDS = {"sts": "statefulset", "deploy": "deployment", "po": "pod", "pods": "pod", "cm": "configmap", "jobs": "job"}
_WITH_VALUE = frozenset({
    *("-n", "-k", "-f", "-t", "-c", "-l", "-o", "-p", "-e", "--namespace", "--file", "--tag", "--target", "--timeout"),
    *("--for", "--scale", "--tmpfs", "--cap-drop"),
})  # fmt: skip
_OF_PODS = {"pod", "node", "namespace"}
_RESETS = {"--bootstrap-server", "--group", "--topic", "--reset-offsets", "--to-offset", "--execute"}


class WrongError(Exception):
    """A page gives a command what it cannot take."""


def kubectl(arguments: Sequence[str]) -> None:
    """Build kustomizations for real and validate them; of all else, look that what is named is there."""
    words = _without_options(arguments)
    inside = list(arguments)[list(arguments).index("--") + 1 :] if "--" in arguments else []
    if inside[:1] in (["moderate"], ["mmorient"]):
        parsed(inside)
    if words[0] == "kustomize":
        print(_built(words[1]))
    elif "-k" in arguments:
        for document in _documents(_built(_option(arguments, "-k", ""))):
            _validate(document)
            print(f"{document['kind'].lower()}/{document['metadata']['name']}: {words[0]}")
    elif words[0] == "create":
        print(f"{' '.join(words[1:])}: would be created")
    else:
        if patch := _option(arguments, "-p", ""):
            json.loads(patch)
        known = _known()
        for kind, name in _resources(words):
            if kind not in _OF_PODS and (kind, name) not in known:
                raise WrongError(f"no overlay has {kind}/{name}; there are {sorted(known)}")
        print(f"kubectl {' '.join(arguments)}: would be asked of a cluster")


def helm(arguments: Sequence[str]) -> None:
    """Look that the chart is there, and that its schema takes the values that are set."""
    import jsonschema

    given = list(arguments)
    chart = next((Path(word) for word in given if (Path(word) / "Chart.yaml").is_file()), None)
    if chart is None:
        raise WrongError("no word is the folder of a chart")
    values: dict[str, Any] = {}
    for before, word in pairwise(given):
        if before == "--set":
            name, _, value = word.partition("=")
            *groups, last = name.split(".")
            place = values
            for group in groups:
                place = place.setdefault(group, {})
            place[last] = yaml.safe_load(value)
    jsonschema.validate(values, json.loads((chart / "values.schema.json").read_text(encoding="utf-8")))
    print(f"helm {' '.join(given)}: would be rendered")


def docker(arguments: Sequence[str]) -> None:
    """Read the compose file or the Dockerfile, and look that what is named is there."""
    words = _without_options(arguments)
    if words[0] == "compose":
        _compose(words[1:], _option(arguments, "--scale", ""))
    elif words[0] in {"build", "bud"}:
        _stage(_option(arguments, "-f", "Dockerfile"), _option(arguments, "--target", ""))
    elif words[0] == "run":
        given = {word.partition("=")[0] for word in arguments if word.startswith("MODERATE_")}
        if unknown := given - setting_variables():
            raise WrongError(f"no setting {min(unknown)}")
    print(f"docker {' '.join(arguments)}: would be asked of an engine")


def _compose(words: Sequence[str], scale: str) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    if words[0] not in {"up", "down", "ps", "logs", "exec", "config", "build", "restart", "stop"}:
        raise WrongError(f"docker compose {words[0]}")
    inside = list(words[2:]) if words[0] == "exec" else []
    named = words[1:2] if inside else words[1:]
    for service in [*named, *([scale.partition("=")[0]] if scale else [])]:
        if service not in services:
            raise WrongError(f"no service {service}; there are {', '.join(services)}")
    if inside[:1] in (["moderate"], ["mmorient"]):
        parsed(inside)


def _stage(file: str, target: str) -> None:
    stages = re.findall(r"^FROM .* AS (\S+)$", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE | re.IGNORECASE)
    if target and target not in stages:
        raise WrongError(f"{file}: no stage {target}; there are {', '.join(stages)}")


def build_image(arguments: Sequence[str]) -> None:
    """Read the script that builds an image without a daemon, and look that its target is there."""
    subprocess.run(["bash", "-n", str(ROOT / "deploy" / "build_image.sh")], check=True)
    _stage("deploy/Dockerfile", arguments[0])
    print(f"deploy/build_image.sh {' '.join(arguments)}: would be run")


def make(arguments: Sequence[str]) -> None:
    """Look that the targets are there."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for word in _without_options(arguments):
        if "=" not in word and word not in targets:
            raise WrongError(f"no target {word}; there are {', '.join(targets)}")
    print(f"make {' '.join(arguments)}: would be made")


def pip(arguments: Sequence[str]) -> None:
    """Look that the extras are there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].keys()
    named = {extra for word in arguments for part in re.findall(r"\[(.+)\]", word) for extra in part.split(",")}
    if unknown := named - extras:
        raise WrongError(f"no extra {min(unknown)}; there are {', '.join(extras)}")
    print(f"pip {' '.join(arguments)}: would be installed")


def git(arguments: Sequence[str]) -> None:
    """Take what is asked for."""
    print(f"git {' '.join(arguments)}: would be asked of a repository")


def pytest(arguments: Sequence[str]) -> None:
    """Look that the tests are there; they are run by themselves."""
    for word in _without_options(arguments):
        if not (ROOT / word.partition("::")[0]).exists():
            raise WrongError(f"{word}: no such test")
    print(f"pytest {' '.join(arguments)}: would be run")


def parsed(arguments: Sequence[str]) -> None:
    """Read a command line of `moderate` or `mmorient` as it would, without doing what it says."""
    import click

    from mmorient.cli import mmorient
    from worker.cli import moderate

    command: click.Command = {"moderate": moderate, "mmorient": mmorient}[arguments[0]]
    rest = list(arguments[1:])
    while isinstance(command, click.Group):
        command = command.commands[rest.pop(0)]
    command.make_context(arguments[0], rest)
    print(f"{' '.join(arguments)}: would be run")


def hub(arguments: Sequence[str]) -> None:
    """Look that a download names what, and a folder."""
    if arguments[0] != "download" or "--local-dir" not in arguments or "/" not in arguments[1]:
        raise WrongError("only `download OWNER/NAME --local-dir FOLDER` is known here")
    print(f"{_option(arguments, '--local-dir', '')}: would be downloaded")


def torchrun(arguments: Sequence[str]) -> None:
    """Read the command line that several processes would run."""
    given = list(arguments)
    if given[0] != "--nproc-per-node" or given[2] != "-m":
        raise WrongError("only `--nproc-per-node N -m MODULE` is known here")
    parsed(given[3:])


def consumer_groups(arguments: Sequence[str]) -> None:
    """Look that a group is moved that a worker has, on the topic that it reads, to an offset."""
    kafka, given = Settings().kafka, list(arguments)
    if unknown := {word for word in given if word.startswith("--")} - _RESETS:
        raise WrongError(f"only {sorted(_RESETS)} are known here, not {sorted(unknown)}")
    if (group := _option(given, "--group", "")) != kafka.group_id:
        raise WrongError(f"the workers' group is {kafka.group_id}, not {group!r}")
    if not re.fullmatch(rf"{re.escape(kafka.posts_topic)}:\d+", topic := _option(given, "--topic", "")):
        raise WrongError(f"the workers read {kafka.posts_topic}, of which {topic!r} is no partition")
    print(f"{topic}: {group} would go on at {int(_option(given, '--to-offset', ''))}")


DOUBLES: dict[str, Callable[[Sequence[str]], None]] = {
    "kubectl": kubectl,
    "helm": helm,
    "docker": docker,
    "buildah": docker,
    "build_image": build_image,
    "make": make,
    "pip": pip,
    "git": git,
    "pytest": pytest,
    "parsed": parsed,
    "huggingface-cli": hub,
    "kafka-consumer-groups.sh": consumer_groups,
    "torchrun": torchrun,
}


def _without_options(arguments: Sequence[str]) -> list[str]:
    """Return the words before -- that are neither options nor the values of those that take one."""
    given = list(arguments)
    given = given[: given.index("--")] if "--" in given else given
    return [
        word
        for before, word in zip(["", *given], given, strict=False)
        if not word.startswith("-") and before not in _WITH_VALUE
    ]


def _option(arguments: Sequence[str], name: str, default: str) -> str:
    given = list(arguments)
    return given[given.index(name) + 1] if name in given else default


def _built(folder: str) -> str:
    from tests.deploy.tools import kustomize

    return kustomize(Path(folder))


def _documents(text: str) -> Iterator[dict[str, Any]]:
    yield from (document for document in yaml.safe_load_all(text) if document)


def _validate(document: dict[str, Any]) -> None:
    import kubernetes_validate

    if "." not in document["apiVersion"].partition("/")[0] or ".k8s.io/" in document["apiVersion"]:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def _known() -> set[tuple[str, str]]:
    """Return kind and name of all that the overlays hold; a page that asks often has them built once."""
    kept = Path(os.environ["DOUBLES_NOTES"]) / "known.json"
    if not kept.exists():
        found = [
            (document["kind"].lower(), document["metadata"]["name"])
            for overlay in sorted(_OVERLAYS.iterdir())
            for document in _documents(_built(str(overlay)))
        ]
        kept.write_text(json.dumps(found), encoding="utf-8")
    return {(kind, name) for kind, name in json.loads(kept.read_text(encoding="utf-8"))}


def _resources(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Return what is named: KIND/NAME anywhere, or KIND NAME behind the verb."""
    for word in words[1:]:
        if re.fullmatch(r"[a-z]+/[a-z0-9.-]+", word):
            kind, _, name = word.partition("/")
            yield _KINDS.get(kind, kind), name
    if len(words) > 2 and words[0] in {"get", "describe", "patch", "delete", "scale"} and "/" not in words[1]:
        yield _KINDS.get(words[1], words[1]), words[2]


def main() -> None:
    """Be the double that the first argument names."""
    try:
        DOUBLES[sys.argv[1]](sys.argv[2:])
    except WrongError as error:
        sys.exit(f"{' '.join(sys.argv[1:])}: {error}")


if __name__ == "__main__":
    main()
