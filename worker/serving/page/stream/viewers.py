"""What one viewer is shown: of the posts that match, as many as an eye can follow, drawn by chance."""

from collections import deque
from random import Random

from worker.serving.page.stream.filters import Filter
from worker.serving.page.stream.joining import LabelledPost

_REMEMBERED_TURNS = 10


class Viewer:
    """Draws posts for one viewer.

    Args:
        wanted: which posts match.
        a_turn: how many are shown each turn.
        random: draws.
    """

    def __init__(self, wanted: Filter, a_turn: int, random: Random) -> None:
        self._wanted = wanted
        self._a_turn = a_turn
        self._random = random
        self._drawn: list[LabelledPost] = []
        self._matched = 0
        self._turns: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED_TURNS)

    def offer(self, post: LabelledPost) -> None:
        """Take a post into the draw; each that matches in a turn is as likely to be shown as any other."""
        if not self._wanted.matches(post):
            return
        self._matched += 1
        if len(self._drawn) < self._a_turn:
            self._drawn.append(post)
        elif (place := self._random.randrange(self._matched)) < self._a_turn:
            self._drawn[place] = post

    def take(self) -> list[LabelledPost]:
        """End a turn, and return what was drawn in it, the oldest first."""
        drawn = sorted(self._drawn, key=lambda post: post.came)
        self._turns.append((self._matched, len(drawn)))
        self._drawn, self._matched = [], 0
        return drawn

    @property
    def shown_of(self) -> tuple[int, int]:
        """How many posts were shown, and how many matched, in the last turns."""
        return sum(shown for _, shown in self._turns), sum(matched for matched, _ in self._turns)
