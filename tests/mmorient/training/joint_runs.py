"""The short run of the whole model that tests share."""

import torch

from mmorient.training.config import TrainConfig

CONFIG = TrainConfig(
    epochs=2,
    rows=8,
    trunk=(16, 8),
    bank={"memotion": 4, "mvsa": 3, "irony": 5},
    bank_steps=10,
    log_steps=5,
    repeat={"irony": 2},
    take={"plain": 8, "mmsd2": 4, "contrast": 8, "memotion_beside": 2, "irony_beside": 2},
    beside={"memotion": 1, "irony": 1},
)
CPU = torch.device("cpu")
