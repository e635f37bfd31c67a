"""Write the JSON Schema files from the models: `python -m schemas.generate`."""

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import JsonSchemaMode

from schemas.topics import EVENTS, Event

FOLDER = Path(__file__).parent / "json"


def render(event: Event) -> str:
    """Return the JSON Schema of an event as the text of its file."""
    mode: JsonSchemaMode = "validation" if event.role == "read" else "serialization"
    schema = event.model.model_json_schema(mode=mode, by_alias=True)
    if event.role == "written":
        # Consumers must let later additions pass; refusing unknown fields is our own writing's discipline.
        _open(schema)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": event.file_name}
    return json.dumps(head | schema, indent=2, ensure_ascii=False) + "\n"


def _open(schema: dict[str, Any]) -> None:
    for part in (schema, *schema.get("$defs", {}).values()):
        if part.get("additionalProperties") is False:
            del part["additionalProperties"]


def main() -> None:
    """Write every schema file."""
    for event in EVENTS:
        (FOLDER / event.file_name).write_text(render(event), encoding="utf-8")


if __name__ == "__main__":
    main()
