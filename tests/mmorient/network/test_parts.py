"""HIMA, CMRL and MLC, each by itself, and that each matters."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mmorient.network import cmrl
from mmorient.network.cmrl import Nodes, SageConvolution, adjacency, neighbourhood_mean
from mmorient.network.hima import ElementAttention, pool_windows
from mmorient.network.mlc import MultifeatureClassifier, TaskFeatures
from mmorient.network.mm_orient import GraphContext, MmOrient, ModelSizes, PostTensors

SIZES = ModelSizes(text_vector=6, picture_vector=10, global_vector=5, trunk=(16, 8), probes={"a": 2, "b": 3})


def attention(width: int) -> ElementAttention:
    """With random weights."""
    made = ElementAttention(width)
    with torch.no_grad():
        made.kernel.normal_()
        made.bias.normal_()
    return made.eval()


def model() -> MmOrient:
    """With random weights, stand-ins too."""
    torch.manual_seed(0)
    made = MmOrient(SIZES, threshold=0.5)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.4)
    return made.eval()


def posts(count: int, seed: int = 0) -> PostTensors:
    """Random posts with both modalities."""
    generator = torch.Generator().manual_seed(seed)

    def random(width: int) -> Tensor:
        return functional.normalize(torch.randn(count, width, generator=generator), dim=-1)

    everywhere = torch.ones(count, dtype=torch.bool)
    return PostTensors(random(6), random(5), everywhere, random(10), random(5), everywhere)


def bank(of: MmOrient) -> GraphContext:
    """Forty reference posts."""
    return replace(of.batch_context(posts(40, seed=1)), among_themselves=False)


@torch.inference_mode()
def test_padding_is_not_attended() -> None:
    """Whatever stands in masked places, weights and vector are those of the rest alone."""
    attend, elements = attention(6), torch.randn(2, 7, 6)
    mask = torch.arange(7)[None] < torch.tensor([[7], [4]])
    whole = attend(elements, mask)
    alone = attend(elements[1:, :4])
    assert torch.allclose(whole.vector[1:], alone.vector, atol=1e-6)
    assert torch.allclose(whole.weights.sum(1), torch.ones(2))
    assert not whole.weights[1, 4:].any()
    disturbed = attend(torch.where(mask[..., None], elements, 1e4), mask)
    assert torch.equal(disturbed.vector, whole.vector)


@torch.inference_mode()
def test_a_set_without_elements_gives_zero() -> None:
    """Nothing attended, nothing said; no NaN."""
    vector = attention(6)(torch.randn(1, 3, 6), torch.zeros(1, 3, dtype=torch.bool)).vector
    assert torch.equal(vector, torch.zeros(1, 6))


@torch.inference_mode()
def test_windows_pool_to_what_the_whole_text_gives() -> None:
    """Stage 1 over two windows, joined, is stage 1 over all their tokens."""
    attend, elements = attention(6), torch.randn(1, 9, 6)
    parts = [attend(elements[:, :5]), attend(elements[:, 5:])]
    pooled = pool_windows(torch.cat([part.vector for part in parts]), torch.cat([part.mass for part in parts]))
    assert torch.allclose(pooled, attend(elements).vector[0], atol=1e-6)


def test_neighbours_are_those_over_the_threshold() -> None:
    """By cosine, never by length; a post or node without the modality is nobody's neighbour."""
    own = torch.tensor([[1.0, 0.0], [3.0, 0.1]])
    nodes = torch.tensor([[5.0, 0.0], [0.0, 1.0], [1.0, 0.5]])
    yes = torch.ones(3, dtype=torch.bool)
    there, gone = Nodes.of(nodes, yes, own[0]), Nodes.of(nodes, ~yes, own[0])
    assert adjacency(own, yes[:2], there, 0.9).tolist() == [[1, 0, 0], [1, 0, 1]]
    assert adjacency(own, ~yes[:2], there, 0.9).sum() == 0
    assert adjacency(own, yes[:2], gone, 0.9).sum() == 0
    assert torch.equal(gone.vectors, own[:1].expand(3, 2))


def test_the_self_loop_counts_once() -> None:
    """The mean over a post and two neighbours divides by three."""
    own, nodes = torch.tensor([[3.0]]), torch.tensor([[6.0], [9.0], [100.0]])
    assert neighbourhood_mean(own, torch.tensor([[1.0, 1.0, 0.0]]), nodes).item() == 6
    assert neighbourhood_mean(own, torch.zeros(1, 3), nodes).item() == 3
    assert neighbourhood_mean(own, None, nodes).item() == 3


@torch.inference_mode()
@pytest.mark.parametrize("threshold", [0.5, 0.999])
@pytest.mark.parametrize("present", [True, False])
def test_what_is_left_out_on_a_processor_changes_no_bit(
    threshold: float, *, present: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that is not asked whether anybody has neighbours computes the same numbers."""
    own = model()
    own.threshold = threshold
    some = posts(16)
    some = replace(some, picture_present=torch.full((16,), present))
    context = bank(own)
    short = own(some, context)
    monkeypatch.setattr(cmrl, "is_known_empty", lambda _: False)
    monkeypatch.setattr(cmrl, "is_known_below", lambda *_: False)
    whole = own(some, context)
    for head, values in short.items():
        assert torch.equal(values.view(torch.int32), whole[head].view(torch.int32))


@torch.inference_mode()
def test_a_convolution_has_length_one() -> None:
    """L2-normalised, as published."""
    out = SageConvolution(5)(torch.randn(4, 5), torch.randn(4, 5))
    assert torch.allclose(out.norm(dim=1), torch.ones(4))


@torch.inference_mode()
def test_task_features_are_probabilities() -> None:
    """Each probe's sum to 1."""
    features = TaskFeatures(4, {"a": 2, "b": 3})(torch.randn(3, 4))
    assert features.shape == (3, 5)
    assert torch.allclose(features[:, :2].sum(1), torch.ones(3))
    assert torch.allclose(features[:, 2:].sum(1), torch.ones(3))


def test_dropout_is_for_training_alone() -> None:
    """Evaluation repeats itself."""
    classifier = MultifeatureClassifier(6, (32, 16), {"x": 2}, 0.5)
    inputs = torch.randn(4, 6)
    assert not torch.equal(classifier(inputs)["x"], classifier(inputs)["x"])
    classifier.eval()
    assert torch.equal(classifier(inputs)["x"], classifier(inputs)["x"])


@torch.inference_mode()
@pytest.mark.parametrize("part", ["text_bias", "picture_bias", "texts", "pictures"])
def test_every_part_of_the_context_matters(part: str) -> None:
    """Stage 2 and the graphs of both modalities: short-circuited, the logits change."""
    made = model()
    context = bank(made)
    value = getattr(context, part)
    other = Nodes(value.vectors, -value.directions) if isinstance(value, Nodes) else torch.zeros_like(value)
    whole = made(posts(5), context)["sentiment"]
    without = made(posts(5), replace(context, **{part: other}))["sentiment"]
    assert (whole - without).abs().max() > 1e-3


@torch.inference_mode()
@pytest.mark.parametrize("graph", ["img_img", "txt_txt", "img_txt", "txt_img"])
def test_every_graph_matters(graph: str) -> None:
    """Each convolution has a say."""
    made = model()
    whole = made(posts(5), bank(made))["sentiment"]
    getattr(made.relations, graph).linear.weight.zero_()
    assert (whole - made(posts(5), bank(made))["sentiment"]).abs().max() > 1e-3


@torch.inference_mode()
def test_batch_context_depends_on_strangers_and_bank_does_not() -> None:
    """The reason why the paper's context is not offered to a stream."""
    made = model()
    three, strangers = posts(3), posts(30, seed=3)
    crowd = PostTensors(*(torch.cat([getattr(three, name), getattr(strangers, name)]) for name in names()))
    context = bank(made)
    assert torch.allclose(made(three, context)["sarcasm"], made(crowd, context)["sarcasm"][:3], atol=1e-6)
    alone = made(three, made.batch_context(three))["sarcasm"]
    among = made(crowd, made.batch_context(crowd))["sarcasm"][:3]
    assert (alone - among).abs().max() > 1e-3


@torch.inference_mode()
def test_self_context_keeps_the_biases_and_drops_the_neighbours() -> None:
    """u from the bank, i alone."""
    made = model()
    context = bank(made)
    alone = context.alone()
    assert alone.texts.vectors.shape == (0, 5)
    assert torch.equal(alone.text_bias, context.text_bias)
    assert (made(posts(5), context)["humour"] - made(posts(5), alone)["humour"]).abs().max() > 1e-4


@torch.inference_mode()
def test_what_is_absent_leaves_no_trace() -> None:
    """Whatever stands in the place of an absent modality, the learned stand-in is read."""
    made = model()
    context = bank(made)
    absent = torch.zeros(5, dtype=torch.bool)
    one = replace(posts(5), picture_present=absent)
    other = replace(one, picture=torch.full((5, 10), 7.0), picture_global=torch.full((5, 5), -7.0))
    said = made(one, context)["offensiveness"]
    assert torch.equal(said, made(other, context)["offensiveness"])
    made.no_picture.add_(1)
    assert not torch.equal(said, made(one, context)["offensiveness"])


def names() -> tuple[str, ...]:
    """The fields of PostTensors."""
    return tuple(PostTensors.__dataclass_fields__)
