"""What of a changed JSON Schema breaks the other side.

The other side is the old producers of what we read, and the old consumers of what we write.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Schema = Mapping[str, Any]
_UPPER_LIMITS = ("maxLength", "maximum", "maxItems")
_LOWER_LIMITS = ("minLength", "minimum", "minItems")


def breaking_changes(old: Schema, new: Schema, role: Literal["read", "written"]) -> list[str]:
    """Return one line for each change from `old` to `new` that breaks the other side; empty if none does.

    Read events may not ask for more (new required fields, narrower types and limits).
    Written events may not give less (fields gone or optional, wider types and new values).
    """
    if role == "read":
        return list(_Comparison(wide_root=old, narrow_root=new, fields_must_stay=False).refusals())
    # A consumer that reads by the old schema must accept what the new one allows.
    return list(_Comparison(wide_root=new, narrow_root=old, fields_must_stay=True).refusals())


@dataclass(frozen=True)
class _Comparison:
    """Finds where a value that is valid under the wide schema may be refused under the narrow one."""

    wide_root: Schema
    narrow_root: Schema
    fields_must_stay: bool

    def refusals(self) -> Iterator[str]:
        return self._compare(self.wide_root, self.narrow_root, "$")

    def _compare(self, wide: Schema, narrow: Schema, path: str) -> Iterator[str]:
        options = [_resolve(option, self.narrow_root) for option in _options(_resolve(narrow, self.narrow_root))]
        for option in _options(_resolve(wide, self.wide_root)):
            resolved = _resolve(option, self.wide_root)
            reasons = [list(self._compare_one(resolved, other, path)) for other in options]
            if all(reasons):
                yield from min(reasons, key=len)

    def _compare_one(self, wide: Schema, narrow: Schema, path: str) -> Iterator[str]:
        if "type" in narrow and wide.get("type") != narrow["type"]:
            yield f"{path}: type {wide.get('type')} against {narrow['type']}"
            return
        yield from _compare_values(wide, narrow, path)
        yield from _compare_limits(wide, narrow, path)
        yield from self._compare_fields(wide, narrow, path)
        for inner in ("items", "additionalProperties"):
            if isinstance(wide.get(inner), Mapping) and isinstance(narrow.get(inner), Mapping):
                yield from self._compare(wide[inner], narrow[inner], f"{path}[]")

    def _compare_fields(self, wide: Schema, narrow: Schema, path: str) -> Iterator[str]:
        for name in sorted(set(narrow.get("required", ())) - set(wide.get("required", ()))):
            yield f"{path}.{name}: required on one side only"
        wide_fields, narrow_fields = wide.get("properties", {}), narrow.get("properties", {})
        if self.fields_must_stay:
            for name in sorted(set(narrow_fields) - set(wide_fields)):
                yield f"{path}.{name}: the field is gone"
        for name in sorted(set(wide_fields) & set(narrow_fields)):
            yield from self._compare(wide_fields[name], narrow_fields[name], f"{path}.{name}")


def _compare_values(wide: Schema, narrow: Schema, path: str) -> Iterator[str]:
    allowed, possible = _values(narrow), _values(wide)
    if allowed is not None and (possible is None or not possible <= allowed):
        yield f"{path}: values {sorted(possible or {'any'})} against {sorted(allowed)}"
    if "pattern" in narrow and narrow["pattern"] != wide.get("pattern"):
        yield f"{path}: pattern {wide.get('pattern')} against {narrow['pattern']}"


def _compare_limits(wide: Schema, narrow: Schema, path: str) -> Iterator[str]:
    for limit in _UPPER_LIMITS:
        if limit in narrow and wide.get(limit, float("inf")) > narrow[limit]:
            yield f"{path}: {limit} {wide.get(limit)} against {narrow[limit]}"
    for limit in _LOWER_LIMITS:
        if limit in narrow and wide.get(limit, float("-inf")) < narrow[limit]:
            yield f"{path}: {limit} {wide.get(limit)} against {narrow[limit]}"


def _options(schema: Schema) -> list[Schema]:
    if isinstance(kinds := schema.get("type"), list):
        return [{**schema, "type": kind} for kind in kinds]
    return list(schema.get("anyOf", [schema]))


def _values(schema: Schema) -> set[str] | None:
    if "const" in schema:
        return {str(schema["const"])}
    return {str(value) for value in schema["enum"]} if "enum" in schema else None


def _resolve(schema: Schema, root: Schema) -> Schema:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    target: Schema = root["$defs"][str(reference).rsplit("/", 1)[1]]
    return target
