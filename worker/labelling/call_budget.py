"""How much goes into one call of the model: so much that the device is busy, and what comes first need not wait long.

It is measured on the device: calls are doubled until one takes about `_CALL_SECONDS`. It is never less than what two
cores do in that time, so that a start on a busy machine does not make a slow worker. No label depends on it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from worker.labelling.portions import is_out_of_memory

# Who is to be labelled first waits for a call or two, and so does the end of the process.
_CALL_SECONDS = 0.25
_MOST_TOKENS = 1024 * 1024
_MOST_PICTURES = 4096


@dataclass(slots=True)
class CallBudget:
    """What one call holds at most; one content that is larger goes alone.

    Args:
        tokens: of texts, padding included.
        pictures: each frame of an animated one counts; all have the same number of pixels.
        posts: to classify.
        mixes_lengths: whether texts of other lengths fill a call up: they are computed in tiles of their own, which
            costs nothing where a tile is one text.
    """

    tokens: int = 2048
    pictures: int = 16
    posts: int = 512
    mixes_lengths: bool = False


def measured(
    call: Callable[[int], None],
    *,
    cost: int,
    least: int,
    most: int,
    seconds: float = _CALL_SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Return the cost of the largest call that takes no longer than `seconds`.

    Args:
        call: computes so many contents; called with 1, with as many as `least` holds, then with twice as many each.
        cost: of one content.
        least, most: the smallest cost that is returned, and the largest one that is tried.
        seconds: of a call.
        clock: seconds.
    """
    call(1)  # the first one also makes room for what follows
    count = max(1, least // cost)
    found = least
    while count * cost <= most:
        started = clock()
        try:
            call(count)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            break
        taken = clock() - started
        if taken <= seconds:
            found = max(found, count * cost)
        if 2 * taken > seconds:
            break
        count *= 2
    return found


def measure(
    budget: CallBudget,
    embed_texts: Callable[[int], None],
    embed_pictures: Callable[[int], None],
    *,
    tokens_a_text: int,
    tokens: int | None,
    pictures: int | None,
) -> None:
    """Set a budget: what is given, or what the device is measured to do.

    Args:
        budget: to be set.
        embed_texts, embed_pictures: encode so many samples in one call.
        tokens_a_text: of a sample.
        tokens, pictures: the budget itself; None is measured.
    """
    budget.tokens = tokens or measured(embed_texts, cost=tokens_a_text, least=budget.tokens, most=_MOST_TOKENS)
    budget.pictures = pictures or measured(embed_pictures, cost=1, least=budget.pictures, most=_MOST_PICTURES)
