"""The environment variables that settings have, and those that are nearly theirs."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches

from pydantic import BaseModel

PREFIX = "MODERATE_"
# By this one neighbouring letters swapped, one left out or one too many are still near.
_NEAR = 0.7


def variables_of(model: type[BaseModel]) -> set[str]:
    """Return the variables of all settings of a model, those of its groups included."""
    return set(_variables(model, PREFIX))


def _variables(model: type[BaseModel], before: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind, variable = field.annotation, f"{before}{name.upper()}"
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _variables(kind, f"{variable}__")
        else:
            yield variable


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return the variable that a mistyped one was probably meant to be."""
    return nearest_of(name.upper(), known)


def nearest_of(name: str, known: Iterable[str]) -> str | None:
    """Return the one of several names that a mistyped one was probably meant to be."""
    found = get_close_matches(name, sorted(known), n=1, cutoff=_NEAR)
    return found[0] if found else None


def mistyped(environment: Mapping[str, str], model: type[BaseModel]) -> dict[str, str]:
    """Return variables that are no settings of a model, each with the one that was probably meant."""
    known = variables_of(model)
    groups = {f"{PREFIX}{name.upper()}" for name in model.model_fields}
    found: dict[str, str] = {}
    for name in environment:
        variable = name.upper()
        # An entry of a table is written by its own name, behind that of the table.
        is_entry = any(variable.startswith(f"{one}__") for one in known)
        if variable.startswith(PREFIX) and variable not in known | groups and not is_entry:
            near = nearest(variable, known)
            if near is not None:
                found[name] = near
    return found
