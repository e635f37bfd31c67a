"""int8 by rows depends on no neighbour; what precisions change is counted post by post."""

from dataclasses import replace

import pytest
import torch

from bench.int8 import Int8Dense, int8_checkpoint, most, rounded
from bench.precision import choose, differences, scores
from bench.precision_tables import show
from mmorient import Moderator
from mmorient.checkpointing.loading import load_checkpoint
from mmorient.digest import SHIPPED
from mmorient.labels import PostLabels, TaskLabel
from mmorient.training.data.examples import TRAIN, VAL, Example
from tests.mmorient.independence import make_posts

X86 = torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability().startswith("AVX")


def labels(sarcasm: float, sentiment: str = "neutral") -> PostLabels:
    """Return those of a post that is sarcastic with a probability."""
    name = "sarcastic" if sarcasm >= 0.5 else "not_sarcastic"
    shares = {"not_sarcastic": 1 - sarcasm, "sarcastic": sarcasm}
    tasks = {"sarcasm": TaskLabel(name, shares), "sentiment": TaskLabel(sentiment, {sentiment: 1.0})}
    return PostLabels(tasks, ("text",))


def test_a_row_is_rounded_by_itself() -> None:
    """A row has the same whole numbers and scale whatever stands beside it, and comes back within half a step."""
    rows = torch.randn(5, 64)
    whole, scales = rounded(rows)
    alone = [rounded(row[None]) for row in rows]
    assert all(torch.equal(whole[place], one[0]) for place, (one, _) in enumerate(alone))
    assert torch.equal(scales, torch.cat([scale for _, scale in alone]))
    assert ((whole.float() - 128) * scales - rows).abs().le(0.51 * scales).all()
    assert torch.equal(rounded(torch.zeros(1, 4))[0], torch.full((1, 4), 128, dtype=torch.uint8))


@pytest.mark.skipif(not X86, reason="needs oneDNN's int8 on x86")
def test_sums_of_whole_numbers_are_exact() -> None:
    """The product is what double precision gives of the same rounded numbers, to the last bit of its scaling.

    Rows and weights of one sign fill the sums most: where they are cut at 16 bits, weights have fewer steps.
    """
    torch.manual_seed(3)
    weight, bias, rows = torch.randn(7, 64), torch.randn(7), torch.randn(5, 64)
    weight[0], weight[1], rows[0] = 0.5, -0.5, 2.0
    whole, scales = rounded(rows)
    steps = weight.abs().amax(1) / most()
    wanted = (whole.double() - 128) @ torch.round(weight / steps[:, None]).double().T * steps * scales + bias
    assert torch.allclose(Int8Dense(weight, bias)((whole, scales)).double(), wanted.double(), rtol=1e-5, atol=1e-5)


@pytest.mark.soak
@pytest.mark.skipif(not X86, reason="needs oneDNN's int8 on x86")
def test_int8_depends_on_no_neighbour() -> None:
    """Sample tiles have the same bits on every thread, at every place and in any company; labels stay near fp32's."""
    checkpoint = load_checkpoint(SHIPPED)
    moderator = Moderator(int8_checkpoint(checkpoint), device=torch.device("cpu"))
    assert moderator.prove() == []
    posts = make_posts(12)
    together = moderator.label(posts)
    assert [moderator.label([post])[0] for post in posts] == together
    plain = Moderator.from_checkpoint().label(posts)
    assert together != plain
    assert differences(together, plain, ["sentiment", "sarcasm", "offensiveness"])["mean"] < 0.05


def test_other_encoders_are_refused() -> None:
    """int8 is tried with the encoders of `compact` alone."""
    checkpoint = load_checkpoint(SHIPPED)
    other = checkpoint.config.text_encoder.model_copy(update={"kind": "other"})
    config = checkpoint.config.model_copy(update={"text_encoder": other})
    with pytest.raises(ValueError, match="compact"):
        int8_checkpoint(replace(checkpoint, config=config))


def test_a_post_flips_once_however_many_of_its_labels_differ() -> None:
    """Flips are shares of posts; the largest difference is over all classes of all tasks."""
    reference = [labels(0.4), labels(0.2), labels(0.9), labels(0.6)]
    other = [labels(0.52, "positive"), labels(0.25), labels(0.88), labels(0.61)]
    found = differences(other, reference, ["sarcasm"])
    assert found["flipped"] == 0.25
    assert found["largest"] == pytest.approx(0.12)
    assert found["mean"] == pytest.approx((0.12 + 0.05 + 0.02 + 0.01) / 4)


def test_validation_posts_come_first_and_are_scored_alone() -> None:
    """Training posts fill what is left; posts in other languages are passed over; truth of training posts is unused."""
    examples = [Example("irony", VAL if n < 5 else TRAIN, f"text {n}", None, {"sarcasm": n % 2}) for n in range(50)]
    examples += [Example("umsab_de", VAL, "deutsch", None, {"sentiment": 1})]
    chosen = choose(examples, 20)
    assert len(chosen) == 20
    assert sum(one.split == VAL for one in chosen) == 5
    assert not any(one.source == "umsab_de" for one in chosen)
    answers = [labels(one.targets["sarcasm"] if one.split == VAL else 0.5) for one in chosen]
    assert scores(chosen, answers) == {"sarcasm": 100.0}


def test_the_table_says_speeds_flips_and_scores() -> None:
    """A row a precision; a figure that was not measured stays empty."""
    row = {
        "texts": {"a_second": 200.0, "processor_us": 9000.0, "times_fp32": 1.5, "times_fp32_by_processor": 1.6},
        "published": {"flipped": 0.01, "largest": 0.05, "mean": 0.004},
        "all": {"flipped": 0.045, "largest": 0.0756, "mean": 0.0118},
        "macro_f1": {"sarcasm": 70.123},
    }
    data = {"date": "2026-11-30", "machine": "2 cores", "posts": 100, "pictures": 0, "validation": 50, "kind": "AVX512"}
    said = show(data | {"precisions": {"int8": row}})
    assert "| int8 | 200 | 1.50 (1.60) |  |  | 1.00%, 4.50% | 0.0756, 0.0118 |" in said
    assert "| int8 |  | 70.12 |  |" in said
