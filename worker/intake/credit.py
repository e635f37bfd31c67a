"""How many records a lane may have in flight: what its standing note covers, and what the next one will."""

import time

# At first. A death leaves no more suspects than the stream needed.
_FIRST = 64
_SECONDS = 2.0
_TICK_SECONDS = 0.001


class Credit:
    """The credit of one lane, in records behind the committed offset.

    Args:
        most: of it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._first = min(_FIRST, most)
        self._was_full = False
        self.standing = self._first
        self.allowed = self._first

    def note_full(self) -> None:
        """Note that the window took all that was allowed."""
        self._was_full = True

    def next(self, *, held: int, settled: int, since: float) -> int:
        """Return the credit for the note that is written now, and allow no more than both notes cover meanwhile.

        It follows what the lane settles within two seconds, by doubling and halving: a slow model leaves few suspects,
        and a fast one is not held up. It is never fewer than is left in the window.

        Args:
            held: records in the window.
            settled: of these, records that this note's commit settles.
            since: when the last commit was answered, in monotonic seconds.
        """
        full, self._was_full = self._was_full, False
        wanted = self.standing
        soon = _SECONDS * settled / max(time.monotonic() - since, _TICK_SECONDS)
        if full and soon >= self.standing:
            wanted = min(2 * self.standing, self._most)
        elif min(held, soon) < self.standing // 4:
            wanted = max(self.standing // 2, self._first)
        wanted = max(wanted, held - settled)
        self.allowed = min(self.standing, wanted + settled)
        return wanted

    def stands(self, credit: int) -> None:
        """Note that the commit that carried a credit is answered."""
        self.standing = self.allowed = credit
