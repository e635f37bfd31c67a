"""Replays within the test's process: a process for each costs seconds."""

import json
from typing import Any

import pytest

from tests.worker.commands.dead_letters.letters import question
from tests.worker.system import Stream
from worker.commands.dead_letters.commands import list_letters
from worker.commands.dead_letters.replay_command import replay_letters


class Replays:
    """Replays, and reads what was said of it."""

    def __init__(self, stream: Stream, said: pytest.CaptureFixture[str]) -> None:
        self.stream = stream
        self._said = said

    async def __call__(
        self,
        *,
        max_attempts: int = 3,
        dry_run: bool = False,
        rate: float | None = None,
        wait: float | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Replay and return the counts that are not 0."""
        await replay_letters(
            question(self.stream, **options),
            max_attempts=max_attempts,
            posts_per_second=rate,
            dry_run=dry_run,
            wait_seconds=wait,
            as_json=True,
        )
        return {name: count for name, count in json.loads(self._said.readouterr().out).items() if count}

    async def listed(self) -> dict[str, Any]:
        """Return the listing."""
        await list_letters(question(self.stream), kind="letter", as_json=True)
        answer: dict[str, Any] = json.loads(self._said.readouterr().out)
        return answer


@pytest.fixture
def replays(stream: Stream, capsys: pytest.CaptureFixture[str]) -> Replays:
    """Give a way to replay."""
    return Replays(stream, capsys)
