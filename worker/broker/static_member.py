"""Leaving the group under a static name: aiokafka's consumer never does, it counts on coming back.

The group then keeps the partitions of a worker that ended for good until its session times out.
"""

from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int16, Int32, Schema, String

_LEAVE_GROUP = 13


class _LeaveResponse(Response):  # type: ignore[misc]
    API_KEY = _LEAVE_GROUP
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("members", Array(("member_id", String("utf-8")), ("group_instance_id", String("utf-8")), ("error", Int16))),
    )


class _LeaveStruct(RequestStruct):  # type: ignore[misc]
    # Of the versions that know static names, the one without tagged fields.
    API_KEY = _LEAVE_GROUP
    API_VERSION = 3
    RESPONSE_TYPE = _LeaveResponse
    SCHEMA = Schema(
        ("group", String("utf-8")),
        ("members", Array(("member_id", String("utf-8")), ("group_instance_id", String("utf-8")))),
    )


class _Leave(Request[_LeaveStruct]):  # type: ignore[misc]
    API_KEY = _LEAVE_GROUP

    def __init__(self, group_id: str, member_id: str, instance_id: str) -> None:
        self._group_id = group_id
        self._member = (member_id, instance_id)

    def build(self, request_struct_class: type[_LeaveStruct]) -> _LeaveStruct:
        return request_struct_class(self._group_id, [self._member])


async def leave(admin: AIOKafkaAdminClient, group_id: str, member_id: str, instance_id: str) -> None:
    """Take a static member out of its group; its partitions are given to the others at once.

    Args:
        admin: client of the broker.
        group_id: the group.
        member_id: that the group knows the member by now: who has taken its name since then stays.
        instance_id: its static name.

    Raises:
        aiokafka.errors.KafkaError: the broker did not do it.
    """
    coordinator = await admin.find_coordinator(group_id)
    # The admin client has every request but this one.
    response: Any = await admin._send_request_to_node(coordinator, _Leave(group_id, member_id, instance_id))  # noqa: SLF001
    for code in (response.error_code, *(member[-1] for member in response.members)):
        if code:
            error: type[KafkaError] = for_code(code)
            raise error(f"{instance_id} could not leave group {group_id}")
