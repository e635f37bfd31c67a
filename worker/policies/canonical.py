"""The rules of a policy in one form: what its version is the digest of, and what the control topic holds."""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from worker.errors import SettingsError
from worker.policies.rule import Rule

FORM = "policies/1"


def version_of(rules: Sequence[Rule]) -> str:
    """Return the digest of the rules' meaning; their order does not change it."""
    return f"sha256:{sha256(_bytes({'schema': FORM, 'rules': fields_of(rules)})).hexdigest()}"


def dumps(rules: Sequence[Rule]) -> bytes:
    """Return rules as the control topic holds them, with their version."""
    return _bytes({"schema": FORM, "version": version_of(rules), "rules": fields_of(rules)})


def loads(value: bytes) -> list[Rule]:
    """Return the rules that `dumps` wrote.

    Raises:
        SettingsError: the bytes are of a later release or of something else, or the version is not that of the rules.
    """
    try:
        found = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise SettingsError("what is published is not JSON") from error
    if not isinstance(found, dict) or found.get("schema") != FORM or not isinstance(found.get("rules"), list):
        said = found.get("schema") if isinstance(found, dict) else None
        raise SettingsError(f"what is published has the form {said!r}, this release reads {FORM!r}")
    rules: list[Rule] = []
    for entry in found["rules"]:
        try:
            rules.append(Rule.model_validate(entry))
        except ValidationError as error:
            name = entry.get("name") if isinstance(entry, dict) else None
            raise SettingsError(f"rule {name!r}: {said_of(error)}") from error
    if found.get("version") != version_of(rules):
        raise SettingsError(f"the version {found.get('version')!r} is not that of the rules, {version_of(rules)}")
    return rules


def fields_of(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """Return all fields of the rules, sorted by name."""
    return [rule.model_dump() for rule in sorted(rules, key=lambda rule: rule.name)]


def said_of(error: ValidationError) -> str:
    """Return the first of a rule's faults in one line."""
    first = error.errors()[0]
    # Of what may be of several types, the second part of the place is the type.
    field = str(first["loc"][0]) if first["loc"] else None
    if first["type"] == "missing":
        return f"{field} is missing"
    if field is None:
        return str(first["msg"])
    message = "not between 0 and 1, nor 'never'" if field == "threshold" else first["msg"]
    return f"{field}: {message} (got {first['input']!r})"


def _bytes(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
