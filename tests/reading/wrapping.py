"""What the tables of wrapped posts share."""

import json
from typing import Any

POST = {"id": "a", "text": "b"}


def dumped(**fields: Any) -> bytes:
    """Return an object as JSON."""
    return json.dumps(fields).encode()
