"""Posts that earlier checkpoints called wrong, as people wrote them; nothing is trained on them."""

import pytest

from mmorient import Moderator, Post
from mmorient.training.data.contrast import contrast_pairs, held_out

KNOWN = [
    ("you are a fucking idiot", "offensiveness", "offensive"),
    ("you should just kill yourself, nobody would miss you", "offensiveness", "offensive"),
    ("I know where you live. Sleep well tonight.", "offensiveness", "offensive"),
    ("women belong in the kitchen", "offensiveness", "offensive"),
    ("All lives matter, unlike yours", "offensiveness", "offensive"),
    ("Nobody should be called a faggot, ever.", "offensiveness", "not_offensive"),
    ("black people are not stupid", "offensiveness", "not_offensive"),
    ("He called me a worthless retard in front of everyone", "offensiveness", "not_offensive"),
    ("bitch you look amazing tonight 😍", "offensiveness", "not_offensive"),
    ("fuck, grandma died this morning. i miss her so damn much", "offensiveness", "not_offensive"),
    ("i want to die, i can't do this anymore", "offensiveness", "not_offensive"),
    ("oh great, another monday", "sarcasm", "sarcastic"),
    ("oh great, another monday", "sentiment", "negative"),
    ("Wow, amazing sunset", "sarcasm", "not_sarcastic"),
    ("thank you so much for your help!", "sarcasm", "not_sarcastic"),
    ("Happy birthday!", "sarcasm", "not_sarcastic"),
    ("Happy birthday!", "offensiveness", "not_offensive"),
]
STILL_WRONG = {
    "I know where you live. Sleep well tonight.",
    "All lives matter, unlike yours",
}


@pytest.fixture(scope="module")
def shipped() -> Moderator:
    """The checkpoint that comes with the package."""
    return Moderator.from_checkpoint()


@pytest.mark.parametrize(("text", "task", "label"), KNOWN)
def test_is_called_what_it_is(shipped: Moderator, text: str, task: str, label: str) -> None:
    """Or stands among those that are still wrong; one that is right now leaves that list."""
    (labels,) = shipped.label([Post(text)])
    assert (labels.tasks[task].label == label) == (text not in STILL_WRONG)


def test_nothing_learns_from_them() -> None:
    """Neither the contrast sentences nor the held-out ones have any of them."""
    said = {pair.text.lower() for pair in contrast_pairs(0)}
    said |= {text.lower() for kind in held_out() for text in kind.texts}
    assert not [text for text, _, _ in KNOWN if text.lower() in said]
