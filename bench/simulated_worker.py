"""`moderate run` on a device that is only waited for: `python -m bench.simulated_worker run …`.

The model's calls take the time that a GPU would take and compute nothing: what is left is what the processor does
around a device. Its embeddings are zeros and its answers those of one post. `SIMULATED_DEVICE` says the times, as JSON:
seconds of a call, of a text's token, of a picture, of a post in the heads; how long the device was busy stands in the
metric `bench_device_busy_seconds_total`.
"""

import json
import os
import threading
import time
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import numpy as np
from prometheus_client import Counter

from mmorient import Embedding, Moderator, Picture, PostEmbeddings, PostLabels
from mmorient.arithmetic.answers import answers
from worker.__main__ import main
from worker.labelling.stages import load_moderator
from worker.settings import Settings
from worker.telemetry.metric import REGISTRY

_CHARACTERS_A_TOKEN = 4.5
_BUSY = Counter("bench_device_busy_seconds", "time in which the simulated device computed", registry=REGISTRY)


class SimulatedDevice:
    """Answers like a moderator, after the time that a device would take; one call at a time.

    Args:
        moderator: a real one, for all but the calls.
        times: seconds by what they are of: call, token, picture, post.
    """

    def __init__(self, moderator: Moderator, times: dict[str, float]) -> None:
        self._moderator = moderator
        self._times = times
        self._device = threading.Lock()
        (logits,) = moderator.logits([PostEmbeddings(np.zeros(moderator.text_width, np.float16))])
        self._logits = {head: np.array([values]) for head, values in logits.items()}

    def __getattr__(self, name: str) -> Any:
        """All else is the real moderator's."""
        return getattr(self._moderator, name)

    def _wait(self, seconds: float) -> None:
        with self._device:
            started = time.perf_counter()
            time.sleep(self._times["call"] + seconds)
            # As long as it really slept: a device would be done no later.
            _BUSY.inc(min(self._times["call"] + seconds, time.perf_counter() - started))

    def embed_texts(self, texts: Sequence[str]) -> list[Embedding]:
        """Return zeros."""
        self._wait(self._times["token"] * sum(map(len, texts)) / _CHARACTERS_A_TOKEN)
        return [np.zeros(self._moderator.text_width, np.float16)] * len(texts)

    def embed_pictures(self, pictures: Sequence[Picture]) -> list[Embedding]:
        """Return zeros."""
        self._wait(self._times["picture"] * len(pictures))
        return [np.zeros(self._moderator.picture_width, np.float16)] * len(pictures)

    def classify(self, posts: Sequence[PostEmbeddings]) -> list[PostLabels]:
        """Return labels of one post for all; a real device returns as many numbers."""
        self._wait(self._times["post"] * len(posts))
        logits = {head: np.repeat(values, len(posts), 0) for head, values in self._logits.items()}
        return answers(
            logits, [post.modalities for post in posts], self._moderator.calibration, self._moderator.thresholds
        )


async def load_simulated(settings: Settings) -> Any:
    """Return the device in the place of the settings' own."""
    return SimulatedDevice(await load_moderator(settings), json.loads(os.environ["SIMULATED_DEVICE"]))


if __name__ == "__main__":
    with patch("worker.service.load_moderator", load_simulated):
        main()
