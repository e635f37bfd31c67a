"""The heads that the contrast pairs teach are the network's, by name and by number of classes."""

from mmorient.labels import DEGREES
from mmorient.network.mm_orient import task_heads
from mmorient.training.data.contrast import contrast_pairs
from mmorient.training.data.examples import PROBES


def test_every_head_exists() -> None:
    """A head that the network calls otherwise would never learn from them, and nobody would notice."""
    classes = task_heads() | {f"probe_{name}": count for name, count in PROBES.items()}
    taught = {head for pair in contrast_pairs(0) for head in pair.targets}
    assert taught <= classes.keys()
    assert {"sarcasm", "offensiveness" + DEGREES, "probe_hate"} <= taught
    assert all(0 <= index < classes[head] for pair in contrast_pairs(0) for head, index in pair.targets.items())
