"""Posts without pictures: less is computed, and it comes to the same."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mmorient.arithmetic.transfer import side_by_side
from mmorient.network.mm_orient import GraphContext, MmOrient, ModelSizes, PostTensors
from mmorient.network.text_heads import TextHeads

SIZES = ModelSizes(text_vector=96, picture_vector=10, global_vector=80, trunk=(16, 8), probes={"a": 2, "b": 3})
THRESHOLD = 0.6


def model(sizes: ModelSizes = SIZES) -> MmOrient:
    """With random weights, stand-ins too."""
    torch.manual_seed(0)
    made = MmOrient(sizes, THRESHOLD)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.2)
    return made.eval()


def texts(count: int, seed: int = 0) -> Tensor:
    """``v ‖ global`` of random texts, which are nobody's neighbours."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, SIZES.text_vector + SIZES.global_vector, generator=generator)


def as_posts(own: Tensor) -> PostTensors:
    """Texts as posts without a picture; what stands in its place is not looked at."""
    there = torch.ones(len(own), dtype=torch.bool)
    text, global_ = own[:, : SIZES.text_vector], own[:, SIZES.text_vector :]
    return PostTensors(text, global_, there, torch.full((len(own), 10), 9.0), torch.full((len(own), 80), 9.0), ~there)


def bank(of: MmOrient) -> GraphContext:
    """Two hundred reference posts with texts and pictures, most of them much alike."""
    own = texts(200, seed=1) * torch.linspace(2, 0, SIZES.text_vector + SIZES.global_vector)
    with_pictures = replace(as_posts(own), picture_present=torch.ones(200, dtype=torch.bool))
    return replace(of.batch_context(with_pictures), among_themselves=False)


def near(context: GraphContext, own: Tensor) -> Tensor:
    """Texts of which every third is turned towards a reference post."""
    changed = own.clone()
    width = SIZES.text_vector
    changed[::3, width:] = context.texts.directions[: len(own[::3])] + 0.02 * own[::3, width:]
    return changed


@torch.inference_mode()
@pytest.mark.parametrize("sizes", [SIZES, replace(SIZES, probes={}), replace(SIZES, batch_bias=False)])
@pytest.mark.parametrize("neighbours", [True, False])
def test_it_comes_to_what_the_whole_model_says(sizes: ModelSizes, *, neighbours: bool) -> None:
    """With task features or none, with the biases of stage 2 or none, with neighbours or none."""
    made = model(sizes)
    context = bank(made)
    own = near(context, texts(24)) if neighbours else texts(24)
    short, whole = TextHeads(made, context)(own), made(as_posts(own), context)
    assert torch.allclose(short, side_by_side(list(whole.values())), atol=1e-5)


@torch.inference_mode()
def test_neighbours_count() -> None:
    """A post that is near a reference post is told otherwise without a bank; its bits are the whole model's."""
    made = model()
    context = bank(made)
    own = near(context, texts(24))
    with_bank, without = TextHeads(made, context)(own), TextHeads(made, context.alone())(own)
    whole = side_by_side(list(made(as_posts(own), context).values()))
    moved = (with_bank - without).abs().amax(1) > 1e-4
    assert moved.tolist() == [index % 3 == 0 for index in range(24)]
    assert torch.equal(with_bank[::3].view(torch.int32), whole[::3].view(torch.int32))


@torch.inference_mode()
def test_the_bits_of_a_post_do_not_tell_who_is_near_beside_it() -> None:
    """A tile of posts that have neighbours, and the same tile where half of them are others that have none."""
    made = model()
    context = bank(made)
    heads, own = TextHeads(made, context), near(context, texts(24))
    odd = torch.arange(24) % 2 == 1
    beside = heads(torch.where(odd[:, None], own, texts(24, seed=7)))
    assert torch.equal(heads(own)[odd].view(torch.int32), beside[odd].view(torch.int32))


@torch.inference_mode()
def test_who_is_near_is_never_overlooked() -> None:
    """At every distance from the threshold: the bound on a few coordinates says none only where there is none."""
    made = model()
    context = bank(made)
    heads = TextHeads(made, context)
    directions = context.texts.directions
    other = functional.normalize(texts(200, seed=5)[:, : directions.shape[1]], dim=-1)
    for share in torch.linspace(0, 1, 41):
        for own in (share * directions + (1 - share) * other)[:, None]:
            cosines = functional.normalize(own, dim=-1) @ directions.T
            found = heads._near(own, float(heads._near.bound(own)))
            if (cosines - THRESHOLD).abs().min() > 1e-5:
                assert (found is not None and bool(found.any())) == bool((cosines > THRESHOLD).any())
