"""What reading pictures brings: `python -m bench.ocr_gain MEMOTION_FOLDER`.

Labels the validation memes as posts of a picture alone, then with the text that was read off the picture, then with the
text that people wrote down: macro-F1 of each task. What lies between the first two is the gain of reading; what lies
between the last two is what better reading could still bring.
"""

import argparse
from pathlib import Path

from bench.memes import print_head, print_row
from mmorient import Moderator, Post, decode_picture
from mmorient.input.ocr.drawn_text import DrawnText, drawn_text_config
from mmorient.training.data.examples import VAL
from mmorient.training.data.readers import read_memotion

_WIDTH = 16


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("memes", type=Path)
    parser.add_argument("--count", type=int, default=683, help="how many of the validation memes")
    arguments = parser.parse_args()
    moderator = Moderator.from_checkpoint()
    reader = DrawnText(drawn_text_config(ocr=True, inpaint=False))
    examples = [one for one in read_memotion(arguments.memes) if one.split == VAL][: arguments.count]
    contents = [one.picture.read_bytes() for one in examples if one.picture is not None]
    known = [one.text or None for one in examples]
    pictures = [decode_picture(content) for content in contents]
    read = [decode_picture(content, drawn_text=reader).text for content in contents]
    print(
        f"{len(examples)} memes, text found on {sum(map(bool, read))}, known of {sum(bool(e.text) for e in examples)}"
    )
    print_head("", _WIDTH)
    for name, texts in (
        ("picture alone", [None] * len(examples)),
        ("and text read", read),
        ("and text known", known),
    ):
        posts = [Post(text, (picture,)) for text, picture in zip(texts, pictures, strict=True)]
        print_row(name, _WIDTH, examples, moderator.label(posts))


if __name__ == "__main__":
    main()
