"""Bytes with a few things done to them, as damage and malice do them."""

import random
from collections.abc import Sequence

_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutated(value: bytes, chance: random.Random, tokens: Sequence[bytes] = (), *, most: int = 65_536) -> bytes:
    """Return bytes with one to four changes.

    Args:
        value: to change.
        chance: decides.
        tokens: what breaks readers of this kind, to be put in.
        most: bytes at most.
    """
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        value = _changed(value, chance, tokens)
    return value[:most]


def _changed(value: bytes, chance: random.Random, tokens: Sequence[bytes]) -> bytes:  # noqa: PLR0911 - one a change
    # Heads are short, and decide most.
    reach = len(value) if chance.random() < 0.5 else min(len(value), 64)
    at = chance.randint(0, reach)
    until = min(len(value), at + chance.choice((1, 1, 2, 4, 8, 64, 512)))
    match chance.randint(0, 8):
        case 0 if at < len(value):
            return value[:at] + bytes([value[at] ^ (1 << chance.randint(0, 7))]) + value[at + 1 :]
        case 1:
            return value[:at] + chance.randbytes(until - at) + value[until:]
        case 2:
            return value[:at]
        case 3:
            return value[:at] + value[until:]
        case 4:
            return value[:at] + value[at:until] * chance.choice((2, 3, 50)) + value[until:]
        case 5 | 6:
            size = chance.choice((1, 2, 4, 8))
            number = (chance.choice(_NUMBERS) & (256**size - 1)).to_bytes(size, chance.choice(("big", "little")))
            return value[:at] + number + value[at + size :]
        case 7 if tokens:
            token = chance.choice(tokens)
            return value[:at] + token + value[chance.choice((at, at + len(token))) :]
        case _:
            other = chance.randint(0, len(value))
            return value[:at] + value[other : other + (until - at)] + value[until:]
