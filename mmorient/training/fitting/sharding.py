"""Weights of the encoders, their gradients and moments divided among the processes of a run (FSDP; Zhao et al. 2023).

Each process keeps a part of every weight. A layer's weights are gathered when it computes and let go afterwards; its
gradients are averaged and divided at once. All processes must gather in the same order: whatever one computes, all
compute, if only of nothing. What is behind the encoders is small, and stays whole everywhere.
"""

from __future__ import annotations

import copy
from typing import Any

from mmorient.training.fitting.encoder_model import EncoderModel, layers_of
from mmorient.training.fitting.several import count, place


def divide(model: EncoderModel) -> EncoderModel | None:
    """Divide the encoders that are part of a model, in place; nothing happens where this process is alone.

    Args:
        model: Before its optimiser is made.

    Returns:
        In the first process a copy on the CPU that is whole, to be filled with what was trained; else nothing.
    """
    if count() < 2 or not model.encoders():
        return None
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    device = model.text_attention.kernel.device
    # Layers then come to the device one after the other: it never holds the whole encoder.
    model.cpu()
    whole = _copied(model) if place() == 0 else None
    mesh = init_device_mesh(device.type, (count(),))
    for _, encoder in model.encoders():
        for part in (*layers_of(encoder.model), encoder):
            divided: Any = fully_shard(part, mesh=mesh, reshard_after_forward=True)
            if device.type == "cpu":
                # Gloo can add, but not take the mean.
                divided.set_force_sum_reduction_for_comms(True)
        register_fsdp_forward_method(encoder, "encode")
    for part in (model.text_attention, model.picture_attention, model.head):
        part.to(device)
    model.divided = True
    return whole


def _copied(model: EncoderModel) -> EncoderModel:
    """A copy of all weights; what is read from the disk, and never changes, is shared."""
    shared = [model.states, model.text_globals, *(getattr(one, "reader", None) for _, one in model.encoders())]
    return copy.deepcopy(model, {id(one): one for one in shared if one is not None})
