"""Contrast pairs: sentences written for this project, each hostile kind beside a harmless one with the same words.

``contrast.toml`` and ``functional.toml`` hold them, with the classes that all readers of a kind would agree on.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from mmorient.errors import DataError
from mmorient.labels import TASKS
from mmorient.training.data.examples import TRAIN, Example
from mmorient.training.data.identity import AXES

VERSIONS = 4
"""How many groups a sentence with a slot is given."""

_SPELLED_OUT = 0.5
_FILES = tuple(Path(__file__).with_name(name) for name in ("contrast.toml", "functional.toml"))
_GROUPS = [forms for groups in AXES.values() for forms in groups]
_SLOT = re.compile(r"\{\w+\}")
_ARTICLE = re.compile(r"\b([Aa]) (?=\{[as]\})")
# Groups that are seldom a noun in the singular; some have no plural of their own.
_ADJECTIVES = {"gay", "bisexual", "straight", "queer", "chinese", "black", "white", "transgender"}
_ADJECTIVES |= {forms[0] for forms in AXES["ability"]}
# The degrees' head as network.mm_orient names it; reading that name would load torch.
_DEGREES = "offensiveness_degrees"
_PROBES = {"sentiment": "probe_sentiment", "sarcasm": "probe_sarcasm", "offensiveness": "probe_offensive"}
_KEYS = {"name", "texts", "held_out", "attacks_group", "offensiveness_degree", *_PROBES}


def contrast_pairs(seed: int) -> Iterator[Example]:
    """The sentences as training posts of the source ``contrast``; one with a slot about four groups.

    Args:
        seed: Of the groups and words. Within a kind each group stands as often as any other, or once more.

    Raises:
        DataError: A kind has a key or a class that does not exist.
    """
    random = np.random.default_rng(seed)
    for kind, words in _kinds():
        targets = kind_targets(kind)
        for text in _said(kind["texts"], words, random):
            yield Example("contrast", TRAIN, text, None, dict(targets))


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A kind's sentences that nothing is trained on.

    Attributes:
        texts: One with a slot stands in it about four groups.
        labels: Of offensiveness and sarcasm, where all readers would agree on them.
    """

    kind: str
    texts: tuple[str, ...]
    labels: Mapping[str, str]


def held_out() -> list[HeldOut]:
    """The kinds that hold sentences back, in the order of the file; the same sentences in each run.

    Raises:
        DataError: A kind has a key or a class that does not exist.
    """
    random = np.random.default_rng(0)
    found = []
    for kind, words in _kinds():
        kind_targets(kind)
        if texts := tuple(_said(kind.get("held_out", ()), words, random)):
            labels: dict[str, str] = {task: kind[task] for task in ("offensiveness", "sarcasm") if task in kind}
            found.append(HeldOut(kind["name"], texts, labels))
    return found


def _kinds() -> Iterator[tuple[dict[str, Any], dict[str, list[str]]]]:
    """Each kind with the words of its file."""
    for file in _FILES:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
        for kind in tables["kind"]:
            yield kind, tables.get("words", {})


def _said(texts: Sequence[str], words: Mapping[str, Sequence[str]], random: np.random.Generator) -> Iterator[str]:
    groups = cycle(random.permutation(len(_GROUPS)).tolist())
    for text in texts:
        if not _SLOT.search(text):
            yield text
            continue
        starts = {name: int(random.integers(len(words[name]))) for name in words if f"{{{name}" in text}
        for version, group in enumerate(islice(groups, VERSIONS)):
            fitting = text
            for name, start in starts.items():
                single, _, many = words[name][(start + version) % len(words[name])].partition("/")
                fitting = fitting.replace(f"{{{name}}}", single).replace(f"{{{name}s}}", many)
            yield _about(fitting, _GROUPS[group], random)


def kind_targets(kind: Mapping[str, Any]) -> dict[str, int]:
    """Head name to class, of a kind's table; the probes learn the same.

    Raises:
        DataError: The kind has a key or a class that does not exist.
    """
    name = kind.get("name", "?")
    if unknown := sorted(kind.keys() - _KEYS):
        raise DataError(f"contrast pairs, kind {name}: no such key as {unknown[0]}")
    targets: dict[str, int] = {}
    for task, probe in _PROBES.items():
        if task in kind:
            targets[task] = targets[probe] = _index(name, kind[task], TASKS[task].classes)
    if "offensiveness_degree" in kind:
        targets[_DEGREES] = _index(name, kind["offensiveness_degree"], TASKS["offensiveness"].degrees[1:])
    if "attacks_group" in kind:
        targets["probe_hate"] = int(kind["attacks_group"])
    return targets


def _index(kind: str, label: str, classes: Sequence[str]) -> int:
    if label not in classes:
        raise DataError(f"contrast pairs, kind {kind}: {label!r} is none of {', '.join(classes)}")
    return classes.index(label)


def _about(text: str, forms: tuple[str, str, str], random: np.random.Generator) -> str:
    single, many, adjective = forms
    if single in _ADJECTIVES:
        single = f"{adjective} person"
        # "whites" and "white people" stand on either side, so that the form gives nothing away.
        if many == adjective or random.random() < _SPELLED_OUT:
            many = f"{adjective} people"
    # "an american", but "a european".
    fitting = _ARTICLE.sub(lambda found: found[1] + ("n " if adjective[0] in "aio" else " "), text)
    return fitting.replace("{a}", adjective).replace("{p}", many).replace("{s}", single)
