"""A real transaction, under an id of the doctor's own: begun, joined by the group's offsets, and aborted.

It writes nothing that a reader or a group would see: a marker among the broker's own offsets is all, and no worker
is fenced, because no worker has this id. The broker says when it began, and so tells its clock.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    ConcurrentTransactions,
    InvalidTransactionTimeout,
    KafkaError,
    TransactionalIdAuthorizationFailed,
    for_code,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.transaction import AddOffsetsToTxnRequest, EndTxnRequest, InitProducerIdRequest
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

from worker.commands.doctor.broker import Broker
from worker.commands.doctor.examination import Check
from worker.commands.doctor.findings import Outcome, failure, ok, skipped
from worker.commands.doctor.permissions import NOT_YET, TRANSACTION, coordinator
from worker.settings import KafkaSettings

_PAUSE_SECONDS = 0.1
_TRIES = 3  # another doctor on this machine may have fenced us
_FENCED = (47, 49, 90)  # INVALID_PRODUCER_EPOCH, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED


class _DescribeTransactionsResponse(Response):  # type: ignore[misc]
    API_KEY = 65
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "transaction_states",
            CompactArray(
                ("error_code", Int16),
                ("transactional_id", CompactString("utf-8")),
                ("state", CompactString("utf-8")),
                ("timeout_ms", Int32),
                ("start_time_ms", Int64),
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                (
                    "topics",
                    CompactArray(
                        ("topic", CompactString("utf-8")), ("partitions", CompactArray(Int32)), ("tags", TaggedFields)
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _DescribeTransactionsStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 65
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _DescribeTransactionsResponse
    SCHEMA = Schema(("transactional_ids", CompactArray(CompactString("utf-8"))), ("tags", TaggedFields))


class _DescribeTransactionsRequest(Request[_DescribeTransactionsStruct]):  # type: ignore[misc]
    """What aiokafka has no request for."""

    API_KEY = 65

    def __init__(self, name: str) -> None:
        self._name = name

    def build(self, request_struct_class: type[_DescribeTransactionsStruct]) -> _DescribeTransactionsStruct:
        """Return the request in a version."""
        return request_struct_class([self._name], {})


class Transactions:
    """Tries a transaction.

    Args:
        broker: asked.
        settings: name the group, and how long a transaction may take.
    """

    def __init__(self, broker: Broker, settings: KafkaSettings) -> None:
        self._broker = broker
        self._settings = settings
        self.clock_ahead_seconds: float | None = None

    def checks(self) -> list[Check]:
        """Return the checks, in order."""
        return [
            Check(
                "transactions.timeout",
                self._timeout,
                needs=("broker.nodes",),
            ),
            Check(
                "transactions.begin",
                self._begin,
                needs=("permissions.transactional_id", "permissions.group", "transactions.timeout"),
                seconds=15,
                patience="see whether the brokers that hold __transaction_state and __consumer_offsets are up, and "
                "transaction.state.log.min.isr is not more than they are",
            ),
        ]

    async def _timeout(self) -> Outcome:
        largest = (await self._broker.settings()).get("transaction.max.timeout.ms")
        wanted = self._settings.transaction_timeout_seconds
        if largest is not None and wanted * 1000 > largest:
            return _too_long(wanted, f"{largest / 1000:g} s are its most")
        most = "" if largest is None else f", the broker's most is {largest / 1000:g}"
        return ok(f"a transaction may take {wanted:g} s{most}")

    async def _begin(self) -> Sequence[Outcome]:
        client = await self._broker.client()
        name = self._broker.links.own_id
        code, node = await coordinator(client, TRANSACTION, name)
        for _ in range(_TRIES):
            code = code or await self._transaction(client, node, name)
            if code not in _FENCED:
                break
        if code == TransactionalIdAuthorizationFailed.errno:
            return [skipped(f"this user may use the workers' transactional ids, not {name}")]
        if code == InvalidTransactionTimeout.errno:
            return [_too_long(self._settings.transaction_timeout_seconds, "that is over transaction.max.timeout.ms")]
        if code:
            error = for_code(code)
            return [
                failure(
                    f"no transaction can be begun as {name}: {error.message}",
                    "see the broker's log for what it says of this transactional id",
                )
            ]
        return [ok(f"a transaction was begun as {name}, and aborted")]

    async def _transaction(self, client: AIOKafkaClient, node: int, name: str) -> int:
        """Go through a transaction; return the first error code."""
        milliseconds = round(self._settings.transaction_timeout_seconds * 1000)
        begun = await _settled(client, node, InitProducerIdRequest(name, milliseconds))
        if begun.error_code:
            return int(begun.error_code)
        producer = (begun.producer_id, begun.producer_epoch)
        before = time.time()
        joined = await _settled(client, node, AddOffsetsToTxnRequest(name, *producer, self._settings.group_id))
        after = time.time()
        if joined.error_code:
            return int(joined.error_code)
        try:
            await self._read_clock(client, node, name, before, after)
        finally:
            ended = await _settled(client, node, EndTxnRequest(name, *producer, False))  # noqa: FBT003
        return int(ended.error_code)

    async def _read_clock(self, client: AIOKafkaClient, node: int, name: str, before: float, after: float) -> None:
        try:
            answer = await client.send(node, _DescribeTransactionsRequest(name))
        except (KafkaError, NotImplementedError):
            return  # an older broker: it does not tell
        state = answer.transaction_states[0]
        if not state[0] and state[4] > 0:
            began = state[4] / 1000
            # A difference that is smaller than the time of the request is none.
            self.clock_ahead_seconds = min(began - before, 0.0) + max(began - after, 0.0)


async def _settled(client: AIOKafkaClient, node: int, request: Any) -> Any:
    """Return the answer to a request, once the coordinator has the time."""
    while True:
        answer = await client.send(node, request)
        if answer.error_code not in (*NOT_YET, ConcurrentTransactions.errno):
            return answer
        await asyncio.sleep(_PAUSE_SECONDS)


def _too_long(seconds: float, why: str) -> Outcome:
    return failure(
        f"the broker does not allow transactions of {seconds:g} s: {why}",
        "set MODERATE_KAFKA__TRANSACTION_TIMEOUT_SECONDS lower, or the broker's transaction.max.timeout.ms higher",
    )
