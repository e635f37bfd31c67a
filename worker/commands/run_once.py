"""Commands that ask the broker something and end: what it refuses is said in one line."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiokafka.errors import KafkaError

from worker.errors import FatalError

_Result = TypeVar("_Result")


def run_once(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a command's work to its end.

    Raises:
        FatalError: the broker refused something, or the connection to it was lost.
    """
    try:
        return asyncio.run(work)
    except (KafkaError, ConnectionError, TimeoutError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise FatalError(f"the broker: {str(error) or repr(error)}") from error
