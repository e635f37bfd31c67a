"""Whether what is drawn over a picture should be read beside a post's own text: `python -m bench.beside MEMOTION`.

Memotion's validation memes as people post them: a comment that says nothing ("lol") over a meme whose words are known.
Macro-F1 of each task, with the picture and without, where the model reads the comment alone, what is drawn alone (as
for a post without a text), or both, parted by ``[SEP]`` or by a space.
"""

import argparse
from pathlib import Path

from bench.memes import print_head, print_row
from mmorient import Moderator, PostEmbeddings, decode_picture, post_text
from mmorient.training.data.examples import VAL
from mmorient.training.data.readers import read_memotion

_WIDTH = 32
_COMMENTS = ("lol", "so true", "this", "me today \U0001f602", "made my day", "found this")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("memes", type=Path)
    parser.add_argument("--count", type=int, default=683, help="how many of the validation memes")
    arguments = parser.parse_args()
    moderator = Moderator.from_checkpoint()
    examples = [one for one in read_memotion(arguments.memes) if one.split == VAL and one.text][: arguments.count]
    pictures = [
        moderator.embed_pictures([decode_picture(one.picture.read_bytes())])[0] for one in examples if one.picture
    ]
    comments = [_COMMENTS[index % len(_COMMENTS)] for index in range(len(examples))]
    drawn = [one.text for one in examples]
    print(f"{len(examples)} memes; macro-F1, percent")
    print_head("read", _WIDTH)
    for name, texts in (
        ("comment", comments),
        ("drawn", drawn),
        ("comment [SEP] drawn", [post_text(a, [b], beside=True) or "" for a, b in zip(comments, drawn, strict=True)]),
        ("comment, space, drawn", [f"{a} {b}" for a, b in zip(comments, drawn, strict=True)]),
    ):
        embedded = moderator.embed_texts(texts)
        for what, posts in (
            (name, [PostEmbeddings(text) for text in embedded]),
            (
                f"{name}, picture",
                [PostEmbeddings(text, (picture,)) for text, picture in zip(embedded, pictures, strict=True)],
            ),
        ):
            print_row(what, _WIDTH, examples, moderator.classify(posts))


if __name__ == "__main__":
    main()
