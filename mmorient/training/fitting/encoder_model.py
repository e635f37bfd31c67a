"""Encoders of any family, HIMA and all behind it as one module: frozen, with low-rank deltas, or learning whole."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmorient.encoders.folder_picture import FolderPicture
from mmorient.encoders.folder_text import FolderText
from mmorient.network.mm_orient import GraphContext, MmOrient, ModelSizes, PostTensors
from mmorient.training.config import TrainConfig
from mmorient.training.fitting.batches import Batch
from mmorient.training.fitting.features import TextStates
from mmorient.training.fitting.joint_model import JointModel
from mmorient.training.fitting.low_rank import add_deltas, merge_deltas

_log = logging.getLogger(__name__)


class BatchHead(MmOrient):
    """As published: the posts of a batch are each other's graph context, whatever other one is given."""

    def forward(self, posts: PostTensors, context: GraphContext, features: Tensor | None = None) -> dict[str, Tensor]:
        """Logits ``[b, outputs]`` by head."""
        del context
        return super().forward(posts, self.batch_context(posts), features)


class EncoderModel(JointModel):
    """The first column of a batch's tokens is the text's row among all, then come its tokens.

    Args:
        sizes: Of what is behind the encoders.
        config: What learns, and how.
        text: The text encoder; None where its states are given.
        picture: The picture encoder; None where its states are given.
        states: Token states of all texts, where the text encoder is frozen.
        text_globals: fp32 ``[n, D]``, where they are given.
        mask_token: What hides a token.
    """

    def __init__(
        self,
        sizes: ModelSizes,
        config: TrainConfig,
        *,
        text: FolderText | None,
        picture: FolderPicture | None,
        states: TextStates | None,
        text_globals: Tensor | None,
        mask_token: int | None,
    ) -> None:
        def build_head(sizes: ModelSizes) -> MmOrient:
            return (BatchHead if config.context == "batch" else MmOrient)(sizes, config.threshold)

        encoders = {"text": text, "picture": picture}
        super().__init__(
            sizes,
            config.seed,
            build_head=build_head,
            **{name: one for name, one in encoders.items() if one is not None},
        )
        self.bf16 = bool(config.bf16)
        self.states, self.text_globals, self.mask_token = states, text_globals, mask_token
        self.tuning = {"text": config.fine_tuning, "picture": config.picture_tuning}
        for name, encoder in self.encoders():
            self._tune(name, encoder, config)

    def encoders(self) -> list[tuple[str, FolderText | FolderPicture]]:
        """Those that are part of this model, by name."""
        found = ((name, getattr(self, name, None)) for name in ("text", "picture"))
        return [(name, one) for name, one in found if isinstance(one, FolderText | FolderPicture)]

    def train(self, mode: bool = True) -> EncoderModel:  # noqa: FBT001, FBT002 - torch's
        """As torch has it, but what is frozen drops nothing."""
        super().train(mode)
        for name, encoder in self.encoders():
            if self.tuning[name] == "frozen":
                encoder.eval()
            elif isinstance(encoder.companion, nn.Module):
                encoder.companion.eval()
        return self

    def embed_texts(self, batch: Batch, *, dropout: float = 0.0, token_dropout: float = 0.0) -> tuple[Tensor, Tensor]:
        """As ``JointModel.embed_texts``."""
        rows, tokens, mask = batch.tokens[:, 0], batch.tokens[:, 1:], batch.mask[:, 1:]
        encoder = getattr(self, "text", None)
        if isinstance(encoder, FolderText):
            if token_dropout and self.mask_token is not None:
                hidden = (torch.rand(tokens.shape, device=tokens.device) < token_dropout) & mask
                hidden[:, 0] = False
                tokens = tokens.masked_fill(hidden, self.mask_token)
            states, globals_ = encoder.encode(tokens, mask)
        else:
            if self.states is None:
                raise ValueError("neither a text encoder nor its states are given")
            states = self.states.batch(rows.tolist(), mask.shape[1]).to(mask.device)
            globals_ = states
            if dropout:
                kept = torch.rand(len(states), 1, states.shape[2], device=states.device) > dropout
                states = states * kept / (1 - dropout)
        if self.text_globals is not None:
            globals_ = self.text_globals[rows.cpu()].to(mask.device)
        with torch.autocast(mask.device.type, enabled=False):
            vector = self.text_attention(states.float(), mask).vector
            return vector, functional.normalize(globals_.float(), dim=-1)

    def embed_pictures(self, regions: Tensor, globals_: Tensor, *, dropout: float = 0.0) -> tuple[Tensor, Tensor]:
        """As ``JointModel.embed_pictures``; where the encoder is part of this model, of pixels ``[m, s, s, 3]``."""
        encoder = getattr(self, "picture", None)
        if isinstance(encoder, FolderPicture):
            if not len(regions) and self.divided:
                return self._see_nothing(encoder, regions)
            if not len(regions):
                return regions.new_zeros(0, encoder.state_width), regions.new_zeros(0, encoder.global_width)
            with torch.autocast(regions.device.type, dtype=torch.bfloat16, enabled=self.bf16 and self.training):
                regions, globals_ = encoder.encode(regions)
        return super().embed_pictures(regions, globals_, dropout=dropout)

    def _see_nothing(self, encoder: FolderPicture, regions: Tensor) -> tuple[Tensor, Tensor]:
        """No pictures, seen: other processes have some, and all gather the encoder's weights together."""
        devices = [regions.device] if regions.device.type == "cuda" else []
        with (
            torch.random.fork_rng(devices),
            torch.autocast(regions.device.type, dtype=torch.bfloat16, enabled=self.bf16 and self.training),
        ):
            states, globals_ = encoder.encode(regions.new_zeros(1, *regions.shape[1:]))
        return self.attend_regions(states)[:0], globals_[:0]

    def see_nothing(self, batch: Batch) -> Tensor:
        """As ``JointModel.see_nothing``."""
        if not isinstance(getattr(self, "picture", None), FolderPicture):
            return super().see_nothing(batch)
        vectors, globals_ = self.embed_pictures(batch.regions[:0], batch.picture_globals[:0])
        return vectors.sum() + globals_.sum()

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """Layer-wise rates, as of ``compact``, in each encoder; what is frozen is in none."""
        groups: list[dict[str, Any]] = []
        for _, encoder in self.encoders():
            layers = layers_of(encoder.model)
            count, placed = len(layers), set[nn.Parameter]()
            for place, layer in enumerate(layers):
                own = [one for one in layer.parameters() if one.requires_grad]
                placed.update(own)
                groups.append({"params": own, "lr": config.rate * config.layer_decay ** (count - 1 - place)})
            rest = [one for one in encoder.model.parameters() if one.requires_grad and one not in placed]
            groups.append({"params": rest, "lr": config.rate * config.layer_decay**count, "weight_decay": 0.0})
            if encoder.projection is not None:
                own = [one for one in encoder.projection.parameters() if one.requires_grad]
                groups.append({"params": own, "lr": config.rate, "weight_decay": 0.0})
        groups.append({"params": self.rest(), "lr": config.head_rate})
        return [group for group in groups if group["params"]]

    def merge(self) -> None:
        """Make low-rank deltas part of the weights, in place: for what is written."""
        for _, encoder in self.encoders():
            merge_deltas(encoder)

    def _tune(self, name: str, encoder: FolderText | FolderPicture, config: TrainConfig) -> None:
        encoder.requires_grad_(requires_grad=self.tuning[name] == "full")
        if self.tuning[name] == "lora":
            count = add_deltas(encoder.model, config.lora_rank, config.lora_scale)
            _log.info("%s encoder: deltas of rank %d in %d layers", name, config.lora_rank, count)
        # A DETR's backbone stays as it is, as its batch norms do in any case.
        for fixed in (encoder.companion, getattr(encoder.model, "backbone", None)):
            if isinstance(fixed, nn.Module):
                fixed.requires_grad_(requires_grad=False)
        if self.tuning[name] == "frozen":
            return
        for module in encoder.model.modules():
            if isinstance(module, nn.Dropout):
                module.p = config.dropout
        if config.gradient_checkpointing:
            try:
                encoder.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            except ValueError:
                _log.warning("%s encoder: its family knows no gradient checkpointing", name)


def layers_of(model: nn.Module) -> list[nn.Module]:
    """The layers of an encoder from the lowest to the highest: its list of modules with the most parameters."""

    def weight(modules: Any) -> int:
        return sum(one.numel() for one in modules.parameters())

    lists = [one for one in model.modules() if isinstance(one, nn.ModuleList) and len(one) > 1]
    return list(max(lists, key=weight)) if lists else []
