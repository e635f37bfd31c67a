"""The one configuration file of a training run: TOML, every field typed, unknown ones refused."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mmorient.errors import DataError
from mmorient.labels import TASKS

SHARES: dict[str, tuple[float, ...]] = {
    "sentiment": (0.3, 0.35, 0.35),
    "humour": (0.5, 0.5),
    "sarcasm": (0.5, 0.5),
    "offensiveness": (0.6, 0.4),
    "motivation": (0.5, 0.5),
}
"""Task to the share of its classes that the bundled checkpoint's probabilities are stated for: near those of labelled
tweets; even where memes alone have labels."""
Tuning = Literal["full", "lora", "frozen"]

DEGREE_SHARES: dict[str, tuple[float, ...]] = {"offensiveness_degrees": (0.5, 0.3, 0.2)}
"""The same of degrees beyond "not at all": raters of memes called nearly all that is offensive slight."""


class TrainConfig(BaseModel):
    """How a checkpoint is trained.

    Attributes:
        take: Source to examples an epoch, the next ones of its shuffled train split each time; all where not named.
        repeat: Source to how often an epoch shows each of its examples; 1 where not named.
        rows: Posts a step.
        rate: Learning rate of the text encoder's top layer.
        layer_decay: Each layer below learns at this share of the rate above it.
        head_rate: Learning rate of all after the encoder.
        warmup: Share of the steps over which rates rise; they fall to nothing over the rest.
        clip: Largest norm of a step's gradient.
        dropout: Inside the encoder's layers; the classifier's own is ``head_dropout``.
        token_dropout: Share of tokens that a step hides behind [MASK].
        drop_text: Share of posts with both modalities that lose their text in a step.
        drop_picture: Share that lose their picture.
        weights: ``source`` or ``source/head`` to the weight of its examples in the loss; 1 where neither is named.
        class_weights: Head to the weight of each class in the loss.
        probe_weight: Of the task features' own losses.
        untaught: Sources whose texts teachers are not asked about.
        lesson_weight: Of what they say in the loss.
        muted: ``source/head`` pairs that teach nothing when the picture is dropped: a meme's words alone are labelled
            for what the whole meme says.
        shares: Head to the share of each class that its probabilities are stated for: a source whose shares are
            others counts as if they were these (prior shift; Saerens et al. 2002).
        ordinary: Sources of ordinary pictures. Their words alone are asked of teachers, their pictures stand beside
            texts that have none.
        photos: Share of the texts without a picture that a step also shows with ordinary ones.
        photos_most: So many of them at most.
        consistency: Head to the weight of the squared difference between what is said of a text with such pictures
            and without.
        beside: Source to copies a training text whose words are put beside others: an author's short remark before
            a meme's words, or a description of a picture behind a tweet's. They are of the source ``SOURCE_beside``.
        bank: Source to reference posts; 512 of each source where none of these is there.
        bank_steps: So often the state is saved and the bank embedded anew.
        rehearsal: A checkpoint that is trained further keeps what it knows: its own answers stand for what posts have
            no label for, the project's own sentences are shown with them, its bank is extended and its calibration
            stays where there are too few posts. Off: it is a start like any other.
        swaps: Copies of each text that names an identity group, with another group in its place (fairness).
        uncounted: Sources that do not decide which epoch is the best: labels near chance, or other questions. With
            ``*`` for any end.
        average: The weights of so many last epochs are averaged, and kept if that validates better; 1 is off.
        patience: Epochs without a better validation before it stops.
        bert: Folder, in the Hugging Face layout, of a BERT of MiniLM-L6's width and vocabulary that takes its place in
            ``compact``, such as bge-small-en-v1.5.
        text_encoder: Folder of a text encoder in the Hugging Face layout; MiniLM-L6 of ``compact`` where it is empty.
        picture_encoder: Folder of a picture encoder; both or neither are named.
        global_encoder: Folder of a CLIP whose vectors are the global ones of both; the encoders' own where it is empty.
        fine_tuning: What of the text encoder learns: ``full``, ``lora`` (low-rank deltas, merged at the end) or
            ``frozen``. A frozen ``compact`` reads each text and picture once, and an epoch takes seconds.
        picture_tuning: The same of the picture encoder.
        lora_rank: Of the deltas of each dense layer.
        lora_scale: They are multiplied by it.
        bf16: Encoders compute in bf16, their weights stay fp32. Where it is not said, the device decides: a CPU that
            has neither AMX nor AVX512-BF16 takes 2 to 15 times as long for a step as in fp32.
        gradient_checkpointing: Encoders keep no states of their layers and compute them anew: less memory, a third
            more time.
        sharding: ``full`` divides the encoders' weights, gradients and moments among the processes of a run (FSDP);
            ``none`` lets each hold all of them.
        features: What frozen encoders make of the posts is kept in the work folder; else they run in every step.
        encoder_weights: ``inside`` the checkpoint, or ``beside`` it in a folder that its digest names.
        global_width: D of both global vectors, where the encoders' own are projected.
        framing: ``whole`` squeezes a picture into the square, ``centre`` cuts out its middle.
        side_pixels: Of the square; the folder's own where it is 0.
        languages: ISO 639-1 codes of the languages that the checkpoint is made for; none: it does not say.
        task_features: Whether probes of the text are among the features (section 4).
        threshold: Cosine from which posts are neighbours (section 3).
        context: ``bank``, or ``batch`` as published: then training and its scores let the posts of a batch see each
            other. The checkpoint has a bank all the same.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "mm-orient-compact"
    seed: int = 0
    epochs: int = Field(default=3, ge=1)
    rows: int = Field(default=32, ge=1)
    take: dict[str, int] = {
        "sentiment": 12_000,
        "mmsd2": 2_000,
        "hate": 3_000,
        "emotion": 1_500,
        "sarcasm_tweets": 12_000,
        "sarcasm_forum": 2_500,
        "offensive_swapped": 1_200,
        "hate_swapped": 1_200,
        "sentiment_swapped": 1_200,
        "memotion_beside": 1_500,
        "offensive_beside": 1_500,
        "irony_beside": 800,
        "hatemoji_beside": 800,
        "sentiment_beside": 800,
        # Read so that they are measured; the bundled encoder reads English.
        "umsab_ar": 0,
        "umsab_de": 0,
        "umsab_es": 0,
        "umsab_fr": 0,
        "umsab_hi": 0,
        "umsab_it": 0,
        "umsab_pt": 0,
    }
    repeat: dict[str, int] = {"irony": 2, "mvsa": 2}
    rate: float = 1e-4
    layer_decay: float = 0.9
    head_rate: float = 1e-3
    warmup: float = Field(default=0.06, gt=0, lt=1)
    decay: float = 0.01
    clip: float = 1.0
    dropout: float = 0.1
    head_dropout: float = 0.2
    token_dropout: float = 0.05
    trunk: tuple[int, int] = (320, 128)
    drop_text: float = 0.15
    drop_picture: float = 0.3
    weights: dict[str, float] = {
        "memotion": 0.5,
        "memotion_beside": 0.5,
        "mvsa": 1.5,
        "mmsd2": 0.0,
        "isarcasm": 0.3,
        "sarcasm_forum": 0.3,
        "offensive_swapped": 0.5,
        "umsab_en": 0.5,
        "hatemoji": 0.4,
        "hatemoji_beside": 0.4,
        "contrast": 0.5,
    }
    class_weights: dict[str, tuple[float, ...]] = {}
    shares: dict[str, tuple[float, ...]] = {**SHARES, **DEGREE_SHARES}
    probe_weight: float = 0.3
    untaught: tuple[str, ...] = ("emotion", "plain", "offensive_swapped", "contrast")
    ordinary: tuple[str, ...] = ("mvsa",)
    photos: float = Field(default=0.5, ge=0, le=1)
    photos_most: int = Field(default=3, ge=1)
    consistency: dict[str, float] = {"sentiment": 1.0, "sarcasm": 5.0, "offensiveness": 5.0}
    beside: dict[str, int] = {"memotion": 1, "offensive": 1, "irony": 1, "hatemoji": 1, "sentiment": 1}
    lesson_weight: float = 0.5
    muted: tuple[str, ...] = (
        *("memotion/sentiment", "memotion/sarcasm", "memotion/offensiveness"),
        *("memotion_beside/sentiment", "memotion_beside/sarcasm", "memotion_beside/offensiveness"),
    )
    bank: dict[str, int] = {
        "memotion": 384,
        "mvsa": 256,
        "sentiment": 320,
        "irony": 160,
        "offensive": 192,
        "sarcasm_tweets": 120,
        "hatemoji": 100,
    }
    bank_steps: int = 1000
    rehearsal: bool = True
    swaps: int = 1
    uncounted: tuple[str, ...] = ("memotion", "mmsd2", "isarcasm", "sarcasm_forum", "umsab_*")
    average: int = Field(default=2, ge=1)
    patience: int = 2
    log_steps: int = 50
    bert: str = ""
    text_encoder: str = ""
    picture_encoder: str = ""
    global_encoder: str = ""
    fine_tuning: Tuning = "full"
    picture_tuning: Tuning = "frozen"
    lora_rank: int = Field(default=8, ge=1)
    lora_scale: float = Field(default=2.0, gt=0)
    bf16: bool | None = None
    gradient_checkpointing: bool = False
    sharding: Literal["none", "full"] = "none"
    features: bool = True
    encoder_weights: Literal["inside", "beside"] = "inside"
    global_width: int = Field(default=384, ge=1)
    framing: Literal["whole", "centre"] = "whole"
    side_pixels: int = Field(default=0, ge=0)
    languages: tuple[str, ...] = ()
    task_features: bool = True
    threshold: float = Field(default=0.9, gt=0, lt=1)
    context: Literal["bank", "batch"] = "bank"

    def settled(self, *, fast_in_bf16: bool) -> TrainConfig:
        """This configuration with what it leaves to the device, so that another kind of device is another run."""
        return self if self.bf16 is not None else self.model_copy(update={"bf16": fast_in_bf16})

    @property
    def stated_for(self) -> dict[str, tuple[float, ...]]:
        """Task to the share of each class that a checkpoint's probabilities are stated for: ``shares`` but degrees'."""
        return {task: self.shares[task] for task in TASKS if task in self.shares}


def read_config(file: Path | None) -> TrainConfig:
    """Read a configuration.

    Args:
        file: TOML; None is the defaults.

    Raises:
        DataError: It is missing, no TOML, or has an unknown or unfit field.
    """
    if file is None:
        return TrainConfig()
    try:
        return TrainConfig.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{file}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
