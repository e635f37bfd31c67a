"""The page of a training run's configuration, from `mmorient.training.config`."""

import inspect
import json
import re

from docs.generate.tables import code, table
from mmorient.training.config import TrainConfig

_HEAD = """\
# Training's configuration

The fields of the TOML file that `mmorient train --config` and `mmorient ablate --config` read. What the file does not
say has its default; an unknown field is refused.
"""


def page() -> str:
    """Return the page."""
    meanings = _meanings()
    rows = (
        (code(name), "" if default is None else code(_toml(default)), meanings.get(name, ""))
        for name, default in TrainConfig().model_dump(mode="json").items()
    )
    return f"{_HEAD}\n{table(('field', 'default', 'meaning'), rows)}"


def _meanings() -> dict[str, str]:
    """Return what the class's docstring says of its attributes."""
    _, _, attributes = inspect.cleandoc(TrainConfig.__doc__ or "").partition("Attributes:\n")
    entries = re.split(r"^ {4}(?=\w+: )", attributes, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, _, text in (entry.partition(": ") for entry in entries if entry)}


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(one)}" for name, one in value.items()) + "}"
    return json.dumps(value)
