"""Training a checkpoint further without losing what it knew: its own answers are rehearsed (Robins 1995; Li and Hoiem
2016, learning without forgetting).
"""

from __future__ import annotations

from collections.abc import Sequence

from mmorient.training.config import TrainConfig
from mmorient.training.data.examples import TRAIN, Example

# The project's own sentences, which come with this package.
_REHEARSED = {"contrast": 4, "plain": 1}
_LEAST = 256


def rehearsing(config: TrainConfig, examples: Sequence[Example]) -> TrainConfig:
    """Show as many of the project's own sentences an epoch as keep few posts from being all that there is.

    Args:
        config: Of the run; what it takes of these sentences stays.
        examples: All.
    """
    own = sum(one.split == TRAIN for one in examples)
    wanted = {name: share * max(_LEAST, own) // 4 for name, share in _REHEARSED.items()}
    return config.model_copy(update={"take": wanted | config.take})
