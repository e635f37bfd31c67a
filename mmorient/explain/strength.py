"""How strongly a share of attention is coloured: the same for words and for regions."""

from __future__ import annotations

from collections.abc import Sequence

_FULL_AT = 2.0  # times the even share: attention that is nearly even stays nearly colourless


def strengths(shares: Sequence[float]) -> list[float]:
    """Shares of one whole to strengths in 0..1: none up to an even share, full at the largest or at twice the even one.

    Stretching every picture to full colour would make chance differences look like findings.
    """
    total = sum(shares)
    if not shares or total <= 0:
        return [0.0] * len(shares)
    ratios = [share * len(shares) / total for share in shares]
    full = max(_FULL_AT, *ratios)
    return [max(0.0, (ratio - 1) / (full - 1)) for ratio in ratios]
