"""How often the language of a text is named, and named rightly: `python -m bench.language DATASETS`.

DATASETS holds `umsab/LANGUAGE/val_text.txt` (Hindi, written in Latin letters there, is left out) and TweetEval's
validation parts of irony, offensive and sentiment, which are English.
"""

import argparse
import time
from pathlib import Path

from mmorient.input.language import languages_of

_CODES = {
    "arabic": "ar",
    "english": "en",
    "french": "fr",
    "german": "de",
    "italian": "it",
    "portuguese": "pt",
    "spanish": "es",
}
_SHORT = 40
_TEXTS_A_CALL = 64


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", type=Path)
    folder = parser.parse_args().datasets
    files = {folder / "umsab" / name / "val_text.txt": code for name, code in _CODES.items()}
    files |= {folder / f"tweeteval/datasets/{task}/val_text.txt": "en" for task in ("irony", "offensive", "sentiment")}
    posts = [(line, code) for file, code in files.items() for line in file.read_text(encoding="utf-8").splitlines()]
    languages_of([posts[0][0]])
    started = time.process_time()
    found: list[str | None] = []
    for first in range(0, len(posts), _TEXTS_A_CALL):
        found += languages_of([text for text, _ in posts[first : first + _TEXTS_A_CALL]])
    cost = 1e6 * (time.process_time() - started) / len(posts)
    print(f"{len(posts)} posts, {cost:.0f} us each, {_TEXTS_A_CALL} a call")
    answers = [(text, code, language) for (text, code), language in zip(posts, found, strict=True)]
    for name, part in (
        ("all", answers),
        (f"under {_SHORT} letters", [one for one in answers if sum(map(str.isalpha, one[0])) < _SHORT]),
        *((code, [one for one in answers if one[1] == code]) for code in sorted(set(_CODES.values()))),
    ):
        named = [one for one in part if one[2] is not None]
        right = sum(code == said for _, code, said in named)
        print(
            f"{name:16} {len(part):5} posts, named {100 * len(named) / len(part):5.1f} %, "
            f"of these right {100 * right / len(named):5.1f} %"
        )


if __name__ == "__main__":
    main()
