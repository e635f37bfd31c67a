"""A Schema Registry's schemas, each asked for once. It speaks Confluent's HTTP, as Karapace and Apicurio do too."""

import asyncio
import math
import time
from collections.abc import Callable, Iterable
from typing import Any, Self
from urllib.parse import quote

import httpx
import structlog

from worker.errors import FatalError, InvalidRecordError, TransientError
from worker.labelling.registry.kinds import schema_of
from worker.labelling.registry.schema import Reference, RegistrySchema, SchemaError
from worker.retry import retry
from worker.telemetry.metrics import REGISTRY_FAILURES

log = structlog.get_logger(__name__)

_DENIED = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN})
_PASSING = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS})
# A schema that is not there may have been registered a moment ago, on a registry's other replica.
_FORGET_SECONDS = 30.0
_PAUSE_SECONDS = 1.0
_SERIALISED = "?format=serialized"
_MOST_SCHEMAS = 1000
_MOST_REFERENCES = 64
_MOST_BYTES = 4 * 1024 * 1024


Found = RegistrySchema | InvalidRecordError


class SchemaRegistry:
    """Fetches schemas and keeps them.

    Args:
        url: of the registry, maybe with a path.
        username, password: of the log-in.
        cafile: certificate authority, PEM.
        timeout_seconds: of one request.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        cafile: str | None = None,
        timeout_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = httpx.AsyncClient(
            base_url=url.rstrip("/") + "/",
            auth=(username, password or "") if username is not None else None,
            verify=cafile or True,
            timeout=timeout_seconds,
            trust_env=False,
            headers={"accept": "application/vnd.schemaregistry.v1+json, application/json"},
        )
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._known: dict[int, tuple[float, Found]] = {}
        self._asking: dict[int, asyncio.Task[Found]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._asking.values():
            task.cancel()
        await self._client.aclose()

    async def schemas(self, ids: Iterable[int]) -> dict[int, Found]:
        """Return a schema, or why there is none, for each id; wait for the registry where it does not answer.

        Raises:
            FatalError: the registry refuses the log-in.
        """
        wanted = list(set(ids))
        return dict(zip(wanted, await asyncio.gather(*map(self._schema, wanted)), strict=True))

    async def _schema(self, number: int) -> Found:
        if (known := self._known.get(number)) is not None and self._clock() < known[0]:
            return known[1]
        if (task := self._asking.get(number)) is None:
            # Several batches may wait for one schema, and one of them may be cancelled.
            task = self._asking[number] = asyncio.create_task(self._ask(number))
            task.add_done_callback(lambda _: self._asking.pop(number, None))
        return await asyncio.shield(task)

    async def _ask(self, number: int) -> Found:
        found: Found
        good_until = math.inf
        try:
            answer = await self._patiently(f"schemas/ids/{number}")
            kind = str(answer.get("schemaType", "AVRO"))
            if kind == "PROTOBUF":
                # Descriptors instead of source: no compiler is needed to read them.
                answer = await self._patiently(f"schemas/ids/{number}{_SERIALISED}")
            references = await self._references(answer, kind)
            # Compiling a large schema takes milliseconds.
            found = await asyncio.to_thread(schema_of, kind, str(answer["schema"]), references)
        except (SchemaError, _MissingError) as error:
            reason = "unknown_schema" if isinstance(error, _MissingError) else "unsupported"
            found = InvalidRecordError("decode", f"record: schema {number} of the registry: {error}", reason=reason)
            good_until = self._clock() + _FORGET_SECONDS
        if len(self._known) >= _MOST_SCHEMAS:
            self._known.clear()
        self._known[number] = good_until, found
        return found

    async def _references(self, answer: dict[str, Any], kind: str) -> list[Reference]:
        """Return the schemas that a schema refers to, directly or not, those first that others refer to."""
        found: dict[str, Reference] = {}
        form = _SERIALISED if kind == "PROTOBUF" else ""

        async def follow(references: object, depth: int) -> None:
            for one in references if isinstance(references, list) else ():
                name, subject = str(one.get("name")), quote(str(one.get("subject")), safe="")
                if name in found:
                    continue
                if depth > _MOST_REFERENCES or len(found) >= _MOST_REFERENCES:
                    raise SchemaError(f"refers to more than {_MOST_REFERENCES} others")
                inner = await self._patiently(f"subjects/{subject}/versions/{one.get('version', 'latest')}{form}")
                await follow(inner.get("references"), depth + 1)
                found[name] = Reference(name, str(inner["schema"]))

        await follow(answer.get("references"), 0)
        return list(found.values())

    async def _patiently(self, path: str) -> dict[str, Any]:
        """Ask until there is an answer: posts wait as they do for a broker, and none is refused meanwhile."""
        while True:
            try:
                return await retry(lambda: self._get(path), budget_seconds=2 * self._timeout_seconds)
            except (TransientError, TimeoutError) as error:
                log.warning("schema_registry_unavailable", error=str(error) or repr(error))
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _get(self, path: str) -> dict[str, Any]:
        try:
            response = await self._client.get(path)
        except (httpx.HTTPError, OSError) as error:
            REGISTRY_FAILURES.labels("connection").inc()
            raise TransientError(f"{self._client.base_url}: {error!r}") from error
        said = f"{response.status_code} from {response.url}"
        if response.is_server_error or response.status_code in _PASSING:
            REGISTRY_FAILURES.labels("status").inc()
            raise TransientError(said)
        if response.status_code in _DENIED:
            REGISTRY_FAILURES.labels("denied").inc()
            raise FatalError(f"the Schema Registry refuses the log-in: {said}")
        if response.status_code != httpx.codes.OK:
            raise _MissingError(said)
        try:
            answer = response.json() if len(response.content) <= _MOST_BYTES else None
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict) or not isinstance(answer.get("schema"), str):
            raise SchemaError(f"no schema in the answer of {response.url}")
        return answer


class _MissingError(Exception):
    """The registry has no such schema."""
