"""The trial of suspicious records, in a real child process with the shipped model."""

import base64
from pathlib import Path

import pytest

from tests.worker.isolation.test_poison import picture, pictured
from tests.worker.records import StandInRecord
from tests.worker.system import post
from worker.isolation.trial import Trial
from worker.items import Item
from worker.settings import Settings

HOOKS = Path(__file__).parent.parent / "hooks"


@pytest.mark.model
async def test_the_child_dies_of_the_guilty_and_survives_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What kills is named, twice found and remembered; harmless, hopeless and empty records are survived."""
    monkeypatch.setenv("PYTHONPATH", str(HOOKS))
    trial = Trial(Settings(media={"sandbox": False}))
    try:
        assert await trial.ready()
        for offset, value in enumerate((pictured("p-0", "harmless"), b"no JSON", None, post("p-1", text="hello"))):
            assert await trial.cause_of_death(Item(StandInRecord(value, offset=offset))) is None
        guilty = Item(StandInRecord(pictured("p-2", "moderate-test:abort"), offset=9))
        assert await trial.cause_of_death(guilty) == "SIGABRT"
        again = Item(StandInRecord(base64.b64encode(picture()), offset=9))
        assert await trial.cause_of_death(again) == "SIGABRT"
    finally:
        trial.close()
