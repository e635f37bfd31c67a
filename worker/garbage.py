"""Python's search for garbage in cycles: what a process has loaded once is left out of it."""

import gc

# Objects that are made before the youngest are looked through. A post makes some sixty, which live as long as it is in
# its window: looked through more often, they are found alive, and count as a reason to look through everything.
_OBJECTS = 20_000


def leave_out_what_is_loaded() -> None:
    """Search no more what is there now: code and model, a quarter of a million objects that stay to the end.

    A search through them takes a tenth of a second, in which no thread of Python runs. Call it once all is loaded.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS, 10, 10)
