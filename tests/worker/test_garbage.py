"""What is loaded is no longer searched for garbage; what comes later is."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from worker.garbage import leave_out_what_is_loaded


class Node:
    """An object that holds itself, so that only the search for garbage can free it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def searched_as_before() -> Iterator[None]:
    """Let the other tests' objects be searched again."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_what_is_loaded_is_searched_no_more() -> None:
    """A module that is there is left out; garbage that is there is freed first."""
    node = Node()
    before = weakref.ref(node)
    del node
    leave_out_what_is_loaded()
    assert before() is None
    assert gc.get_freeze_count() > 10_000
    assert not any(one is gc.__dict__ for one in gc.get_objects())


def test_garbage_that_comes_later_is_freed() -> None:
    """A cycle that is made afterwards is found."""
    leave_out_what_is_loaded()
    node = Node()
    later = weakref.ref(node)
    del node
    assert later() is not None
    gc.collect()
    assert later() is None
