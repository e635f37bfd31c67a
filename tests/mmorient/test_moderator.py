"""The public API, and a post's independence from its company."""

import os
import random
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import mmorient
from mmorient import CheckpointError, Moderator, Picture, Post, PostEmbeddings
from mmorient.arithmetic.launches import Launches, Work
from mmorient.config import Precision
from mmorient.network.text_heads import TextHeads
from tests.mmorient.arithmetic.replaying import ReplayingDouble
from tests.mmorient.independence import answers_of, digest, reference_answers
from tests.tiers import rest_soaks

WORDS = [
    "oh",
    "great",
    "another",
    "monday",
    "love",
    "hate",
    "you",
    "are",
    "the",
    "worst",
    "best",
    "rain",
    "sun",
    "football",
    "😂",
    "#blessed",
    "lol",
    "why",
    "would",
    "@anyone",
]
HOSTILE = ["", "a" * 5000, "\ud800\x00", "😂" * 30, "the " * 150, "日本語 " * 20]


def texts(count: int) -> list[str]:
    """Of one word to two windows."""
    generator = random.Random(0)
    return [" ".join(generator.choices(WORDS, k=generator.choice([1, 4, 9, 20, 40, 110]))) for _ in range(count)]


def shuffled(count: int, seed: int) -> list[int]:
    """A permutation."""
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return order


def same(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    """Bit for bit."""
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_public_names_are_all_there() -> None:
    """Each can be imported, and nothing else is promised."""
    for name in mmorient.__all__:
        assert getattr(mmorient, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = mmorient.nothing  # type: ignore[attr-defined]


def test_embeddings_are_fp16_vectors_of_the_promised_width(moderator: Moderator, pictures: list[Picture]) -> None:
    """One a content, v ‖ global, the global part of length 1."""
    [text] = moderator.embed_texts(["hello"])
    [picture] = moderator.embed_pictures(pictures[:1])
    assert text.dtype == picture.dtype == np.float16
    assert text.shape == (moderator.text_width,) == (768,)
    assert picture.shape == (moderator.picture_width,) == (1664,)
    for embedding, vector in ((text, 384), (picture, 1280)):
        assert np.linalg.norm(embedding[vector:].astype(float)) == pytest.approx(1, abs=1e-3)


def test_modalities_say_what_the_labels_rest_on(moderator: Moderator, pictures: list[Picture]) -> None:
    """Blank text counts as none."""
    posts = [
        Post("x"),
        Post(None, tuple(pictures[:2])),
        Post("x", tuple(pictures[:1])),
        Post("  ", tuple(pictures[:1])),
    ]
    found = [labels.modalities for labels in moderator.label(posts)]
    assert found == [("text",), ("image",), ("text", "image"), ("image",)]
    assert [tuple(labels.tasks) for labels in moderator.label(posts)] == [moderator.tasks] * 4


def test_nothing_gives_nothing(moderator: Moderator) -> None:
    """Empty batches are fine."""
    assert (
        moderator.label([]) == moderator.classify([]) == moderator.embed_texts([]) == moderator.embed_pictures([]) == []
    )


def test_every_picture_of_a_post_counts(moderator: Moderator, pictures: list[Picture]) -> None:
    """Several are pooled; a picture twice is that picture once."""
    one, two, twice = moderator.label(
        [Post(None, (pictures[0],)), Post(None, tuple(pictures[:2])), Post(None, (pictures[0],) * 2)]
    )
    assert one != two
    assert one == twice


class RecordedLaunches(Launches):
    """Records every tile, as on a GPU."""

    def __init__(self, work: Work, device: torch.device, *, recorded: bool) -> None:
        assert not recorded  # on a CPU nothing is
        super().__init__(work, device, recorded=True, record=ReplayingDouble)


def test_recorded_tiles_have_the_bits_of_others(
    untrained: Path, moderator: Moderator, pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts of several lengths, pictures, posts and weights of attention, more of each than a tile has rows."""
    monkeypatch.setattr("mmorient.network.embedders.Launches", RecordedLaunches)
    monkeypatch.setattr("mmorient.network.post_heads.Launches", RecordedLaunches)
    recorded = Moderator.from_checkpoint(untrained)
    assert recorded.identity == moderator.identity
    words, seen = texts(40), pictures * 3
    assert same(recorded.embed_texts(words), moderator.embed_texts(words))
    assert same(recorded.embed_pictures(seen), moderator.embed_pictures(seen))
    posts = [
        PostEmbeddings(text, (picture,))
        for text, picture in zip(moderator.embed_texts(words), moderator.embed_pictures(seen), strict=False)
    ]
    assert recorded.logits(posts) == moderator.logits(posts)
    assert torch.equal(recorded.attend_pictures(seen), moderator.attend_pictures(seen))
    assert recorded.prove() == []


def test_the_bank_matters(untrained: Path) -> None:
    """A post much like one in the bank has a neighbour there, and none in the self context."""
    bank = Moderator.from_checkpoint(untrained)
    alone = Moderator.from_checkpoint(untrained, graph_context="self")
    assert (bank.identity.graph_context, alone.identity.graph_context) == ("bank", "self")
    reference = bank._heads.context.texts.vectors[2].numpy() + np.full(384, 0.01)
    post = PostEmbeddings(np.concatenate([np.zeros(384), reference]).astype(np.float16))
    assert bank.classify([post]) != alone.classify([post])


def test_thresholds_decide_labels_and_nothing_else(untrained: Path) -> None:
    """Each of its own task, whatever the modalities; embeddings are cached under the same digest."""
    plain = Moderator.from_checkpoint(untrained)
    held = Moderator.from_checkpoint(untrained, thresholds={"sarcasm": 0.0001, "offensiveness": 0.9999})
    assert held.identity == plain.identity
    assert (plain.thresholds, held.thresholds) == ({}, {"sarcasm": 0.0001, "offensiveness": 0.9999})
    post = Post("what a lovely day")
    [before], [after] = plain.label([post]), held.label([post])
    assert {task: label.label for task, label in after.tasks.items() if label.threshold is not None} == {
        "sarcasm": "sarcastic",
        "offensiveness": "not_offensive",
    }
    for task, label in before.tasks.items():
        assert label.probabilities == after.tasks[task].probabilities
        assert label.probabilities[label.label] == max(label.probabilities.values())


def test_a_compiled_encoder_has_vectors_of_its_own(untrained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled arithmetic differs in the last digits, so that its vectors are cached under another digest."""
    compiled: list[str] = []

    def compile_nothing(function: Callable[..., object], *, dynamic: bool) -> Callable[..., object]:
        assert not dynamic
        compiled.append(type(function.__self__).__name__)  # type: ignore[attr-defined]
        return function

    monkeypatch.setattr(torch, "compile", compile_nothing)
    plain = Moderator.from_checkpoint(untrained)
    assert compiled == []
    other = Moderator.from_checkpoint(untrained, compiled=True)
    assert compiled == ["MiniLm", "Lite"]
    assert plain.identity.embedding != other.identity.embedding
    assert plain.identity.checkpoint == other.identity.checkpoint


@pytest.mark.skipif(
    shutil.which("g++") is None or not Path(sysconfig.get_path("include"), "Python.h").is_file(),
    reason="torch.compile needs a C++ compiler and Python's headers on the CPU",
)
@pytest.mark.soak
def test_a_compiled_encoder_says_the_same_but_for_rounding(untrained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One padded length, compiled for real."""
    monkeypatch.setattr("mmorient.network.embedders.BUCKETS", (128,))
    monkeypatch.setattr("mmorient.input.text.BUCKETS", (128,))
    [plain] = Moderator.from_checkpoint(untrained).embed_texts(["what a lovely day"])
    [compiled] = Moderator.from_checkpoint(untrained, compiled=True).embed_texts(["what a lovely day"])
    assert np.allclose(plain, compiled, atol=2e-3)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"graph_context": "batch"}, "may not depend on its batch"),
        ({"thresholds": {"sentiment": 0.5}}, "threshold of 'sentiment'"),
        ({"precision": "int8"}, "int8"),
        ({"device": "tpu"}, "tpu"),
    ],
)
def test_settings_that_are_not_offered(untrained: Path, settings: dict[str, str], said: str) -> None:
    """The paper's batch context among them."""
    with pytest.raises(ValueError, match=said):
        Moderator.from_checkpoint(untrained, **settings)  # type: ignore[arg-type]


def test_a_missing_checkpoint(tmp_path: Path) -> None:
    """One line."""
    with pytest.raises(CheckpointError, match="no such folder"):
        Moderator.from_checkpoint(tmp_path / "none")


def test_an_embedding_of_another_model_is_refused(moderator: Moderator) -> None:
    """Width and type are checked, so that a stale cache cannot label."""
    for wrong in (np.zeros(5, dtype=np.float16), np.zeros(768, dtype=np.float32)):
        with pytest.raises(ValueError, match="text embedding is"):
            moderator.classify([PostEmbeddings(wrong)])  # type: ignore[arg-type]


def test_any_thread_may_call(moderator: Moderator, pictures: list[Picture]) -> None:
    """A worker embeds and classifies in a thread of its own."""
    posts = [Post("hello", tuple(pictures[:1]))]
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(moderator.label, posts).result() == moderator.label(posts)


@pytest.mark.parametrize(
    ("precision", "counts"),
    [
        ("fp32", (1, 2, 5)),
        pytest.param("fp32", range(1, 9), marks=pytest.mark.soak),
        pytest.param("bf16", range(1, 9), marks=pytest.mark.soak),
    ],
    ids=["fp32", "fp32, one to eight", "bf16, one to eight"],
)
def test_bits_do_not_tell_how_many_processors_there_are(
    untrained: Path, pictures: list[Picture], precision: Precision, counts: Iterable[int]
) -> None:
    """With each number of threads the same bits of embeddings and logits, the same cache keys, the same stamp."""
    posts = [Post(text, tuple(pictures[: index % 3])) for index, text in enumerate(texts(12))]
    found = set()
    for threads in counts:
        moderator = Moderator.from_checkpoint(untrained, precision=precision, threads=threads)
        found.add((digest(reference_answers(answers_of(moderator), posts)), moderator.identity))
    assert len(found) == 1


def test_threads_of_torch_change_nothing(moderator: Moderator) -> None:
    """Whatever the caller's thread computes with."""
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(moderator.embed_texts(texts(12)))
    finally:
        torch.set_num_threads(before)
    assert same(found[0], found[1])
    assert same(found[0], found[2])


def test_any_number_of_tiles_gives_the_same_bits(untrained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stacks are equal to tiles one by one, here or where none is allowed; a lone text is one tile."""
    stacked = Moderator.from_checkpoint(untrained)
    single = Moderator.from_checkpoint(untrained)
    monkeypatch.setattr(single._stacks, "_allowed", False)
    posts = [Post(text) for text in texts(70)]
    found = [reference_answers(answers_of(one), posts) for one in (stacked, single)]
    assert found[0] == found[1]
    assert [answers_of(single)([post])[0] for post in posts[:9]] == found[0][:9]


@pytest.mark.soak
def test_what_is_stamped_follows_the_bits() -> None:
    """Another kind of processor, imitated, is independent as well; where its bits are others, its stamp is."""
    avx2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    stamps = []
    for imitation in ({}, avx2):
        ran = subprocess.run(
            [sys.executable, "-m", "tests.mmorient.independence", "--posts", "24", "--precisions", "fp32"],
            env=os.environ | imitation, cwd=Path(__file__).parents[2],
            capture_output=True, text=True, timeout=800, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        [line] = [line for line in ran.stdout.splitlines() if "arithmetic" in line]
        stamps.append(re.fullmatch(r"fp32  arithmetic (\S+), all bits (\w+)", line).groups())  # type: ignore[union-attr]
    (ours, our_bits), (other, other_bits) = stamps
    assert (ours == other) == (our_bits == other_bits)


def test_a_sound_model_passes_its_proof(moderator: Moderator) -> None:
    """On this processor, whichever it is; its tries of stacks are over then."""
    assert moderator.prove() == []
    assert set(moderator._stacks._equal) >= {(True, 16), (True, 64), "posts"}


def test_a_window_beyond_the_first_changes_the_embedding(moderator: Moderator) -> None:
    """Long texts are read to the end."""
    start = "rain " * 130
    one, other = moderator.embed_texts([start + "I love this", start + "I hate this"])
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("precision", rest_soaks(["fp32", "bf16"], ["fp32"]))  # bf16 takes a minute without AVX-512
def test_a_row_is_bitwise_independent_of_its_company(
    untrained: Path, pictures: list[Picture], precision: Precision
) -> None:
    """Alone, permuted, in any batch size, among hostile neighbours: the same bits, before and after the cache."""
    moderator = Moderator.from_checkpoint(untrained, precision=precision)
    all_texts = [*texts(12), *HOSTILE]
    alone = [moderator.embed_texts([text])[0] for text in all_texts]
    assert same(alone, moderator.embed_texts(all_texts))
    drawn = [moderator.embed_pictures([picture])[0] for picture in pictures]
    posts = [
        PostEmbeddings(text if index % 3 else None, tuple(drawn[place] for place in range(index % 4)))
        for index, text in enumerate(alone)
    ]
    labels = [moderator.classify([post])[0] for post in posts]
    for seed, size in enumerate((3, len(posts))):
        order = shuffled(len(all_texts), seed)
        parts = [order[start : start + size] for start in range(0, len(order), size)]
        found = [one for part in parts for one in moderator.embed_texts([all_texts[index] for index in part])]
        assert same([alone[index] for index in order], found)
        answers = [one for part in parts for one in moderator.classify([posts[index] for index in part])]
        assert [labels[index] for index in order] == answers
        order = shuffled(len(pictures), seed)
        assert same([drawn[index] for index in order], moderator.embed_pictures([pictures[index] for index in order]))


def test_posts_without_pictures_go_another_way_only_where_it_is_exact(
    untrained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the bits of its rows depend on their place, a processor computes the whole model for all posts."""
    embedding = np.random.default_rng(0).normal(size=768).astype(np.float16)
    short = Moderator.from_checkpoint(untrained)
    known = short.logits([PostEmbeddings(embedding)])

    def by_place(self: TextHeads, texts: Tensor) -> Tensor:
        return exact(self, texts) + torch.arange(len(texts))[:, None]

    exact = TextHeads.__call__
    monkeypatch.setattr(TextHeads, "__call__", by_place)
    whole = Moderator.from_checkpoint(untrained)
    assert whole.prove() == []
    [found], [wanted] = whole.logits([PostEmbeddings(embedding)]), known
    assert all(np.allclose(found[head], values, atol=1e-4) for head, values in wanted.items())
    assert (len(whole._heads.probes()), len(short._heads.probes())) == (1, 2)
