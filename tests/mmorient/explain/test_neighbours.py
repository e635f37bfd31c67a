"""The nearest reference posts."""

import torch

from mmorient import TASKS, Moderator, Post
from mmorient.explain.explanation import explain_post
from mmorient.explain.neighbours import nearest

VECTORS = torch.tensor([[0.0, 1.0], [3.0, 0.0], [2.0, 1.0], [-1.0, 0.0]]).half()
INDEX = torch.tensor([5, 2, 0, 1], dtype=torch.int32)


def test_nearest_first_with_their_numbers_in_the_bank() -> None:
    """By cosine, whatever the lengths; those over the threshold are neighbours in the graph."""
    labels = torch.full((6, len(TASKS)), -1, dtype=torch.int8)
    near = nearest(torch.tensor([1.0, 0.1]), VECTORS, INDEX, labels, threshold=0.9, count=3)
    assert [post.reference for post in near.posts] == [2, 0, 5]
    assert [post.in_graph for post in near.posts] == [True, True, False]
    assert (near.candidates, near.in_graph) == (4, 2)


def test_only_known_labels_are_told() -> None:
    """-1 is unknown: a post may have any of its tasks' labels, or none."""
    labels = torch.full((6, len(TASKS)), -1, dtype=torch.int8)
    labels[2, 0], labels[2, 2] = 2, 1
    first, second = nearest(torch.tensor([1.0, 0.0]), VECTORS, INDEX, labels, threshold=0.9, count=2).posts
    assert first.labels == {"sentiment": "positive", "sarcasm": "sarcastic"}
    assert second.labels == {}


def test_a_bank_may_be_smaller_than_what_is_asked_for() -> None:
    """Then all of it is told; an empty one has no neighbours."""
    labels = torch.zeros((6, len(TASKS)), dtype=torch.int8)
    assert len(nearest(torch.ones(2), VECTORS, INDEX, labels, threshold=0.9, count=9).posts) == 4
    assert nearest(torch.ones(2), VECTORS[:0], INDEX[:0], labels, threshold=0.9, count=9).posts == ()


def test_a_reference_post_is_nearest_to_itself(moderator: Moderator) -> None:
    """A vector of the bank finds its own number, at a cosine of 1."""
    bank = moderator.bank
    for vectors, index in ((bank.text_global, bank.text_index), (bank.picture_global, bank.picture_index)):
        near = nearest(vectors[3].float(), vectors, index, bank.labels, threshold=moderator.threshold, count=1)
        assert near.posts[0].reference == int(index[3])
        assert near.posts[0].cosine > 0.999


def test_candidates_are_the_reference_posts_that_have_the_modality(moderator: Moderator) -> None:
    """A reference post without a picture is nobody's neighbour by picture."""
    near = explain_post(moderator, Post("hello there"), neighbours=100).near_text
    assert near is not None
    assert near.candidates == len(near.posts) == len(moderator.bank.text_index)
