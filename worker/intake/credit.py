"""How many records a lane may have in flight: what its standing note covers, and what the next one will."""

import math
import time
from collections.abc import Callable

# At first. A death leaves no more suspects than the stream needed.
_FIRST = 64
_LEAST_SHARE = 0.5


class Credit:
    """The credit of one lane, in records behind the committed offset.

    Args:
        most: of it.
        seconds: it follows what the lane settles within this time. With more than one record may wait for its
            pictures, a lane goes on behind a slow one.
        clock: monotonic seconds.
    """

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._first = min(_FIRST, most)
        self._seconds = seconds
        self._clock = clock
        self._was_full = False
        self._settled = 0.0
        self._began_at = self._settled_at = clock()
        self.standing = self._first
        self.allowed = self._first

    def note_full(self) -> None:
        """Note that the window took all that was allowed."""
        self._was_full = True

    def next(self, *, held: int, settled: int) -> int:
        """Return the credit for the note that is written now, and allow no more than both notes cover meanwhile.

        It doubles where the window was full, and halves where the lane settles little: a slow model leaves few
        suspects, and a fast one is not held up. It is never fewer than is left in the window.

        Args:
            held: records in the window.
            settled: of these, records that this note's commit settles.
        """
        now = self._clock()
        # Older ones count for less: a lane behind a slow picture settles nothing for seconds, then much at once.
        self._settled = settled + self._settled * math.exp((self._settled_at - now) / self._seconds)
        self._settled_at = now
        # What a young lane would have settled within the whole time; a moment says nothing of that.
        lasted = max(now - self._began_at, _LEAST_SHARE * self._seconds)
        usual = self._settled / (1 - math.exp(-lasted / self._seconds))
        full, self._was_full = self._was_full, False
        wanted = self.standing
        if full and usual >= self.standing:
            wanted = min(2 * self.standing, self._most)
        elif min(held, self._settled) < self.standing // 4:
            wanted = max(self.standing // 2, self._first)
        wanted = max(wanted, held - settled)
        self.allowed = min(self.standing, wanted + settled)
        return wanted

    def stands(self, credit: int) -> None:
        """Note that the commit that carried a credit is answered."""
        self.standing = self.allowed = credit
