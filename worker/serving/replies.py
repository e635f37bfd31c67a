"""Refusals as clients read them: our own shape, and for Perspective's clients theirs."""

import math
from typing import Any

import msgspec
from starlette.responses import Response

from worker.serving.errors import ServingError

PERSPECTIVE = "/v1alpha1/"
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_ENCODER = msgspec.json.Encoder()


class JsonReply(Response):
    """An answer whose content is JSON already, or is made so by msgspec."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return content if isinstance(content, bytes) else _ENCODER.encode(content)


def refusal(path: str, error: ServingError) -> JsonReply:
    """Return what a refused request is answered.

    Args:
        path: of the request.
        error: why.
    """
    headers = {}
    if error.retry_after_seconds is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_seconds)))
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return JsonReply(refusal_body(path, error.status, error.reason, str(error)), error.status, headers)


def refusal_body(path: str, status: int, reason: str, message: str) -> dict[str, Any]:
    """Return the JSON of a refusal, in the shape that the clients of an address know."""
    if path.startswith(PERSPECTIVE):
        return google_error(status, message)
    return {"error": {"stage": "http", "reason": reason, "message": message}}


def google_error(status: int, message: str, details: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return an error as Google's services write it."""
    error = {"code": status, "message": message, "status": _STATUSES.get(status, "INTERNAL")}
    return {"error": error | ({"details": details} if details else {})}
