"""The tokenizer of a folder that has fastBPE's two files alone, as BERTweet's: ``bpe.codes`` and ``vocab.txt``."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from mmorient.errors import CheckpointError

CODES, VOCABULARY = "bpe.codes", "vocab.txt"
_CONTINUES, _ENDS = "@@", "</w>"
_FIRST = ("<s>", "<pad>", "</s>", "<unk>")
_MASK = "<mask>"
# What BERTweet was trained to read in the place of names and links, and what our own normalisation writes there.
_WRITTEN = {"@user": "@USER", "http": "HTTPURL"}


def bertweet_tokenizer(folder: Path) -> tuple[Tokenizer, int]:
    """Build the tokenizer.

    Returns:
        The tokenizer, and how many of its tokens the model knows: further ones are steps on the way to others.

    Raises:
        CheckpointError: A file is not what it should be.
    """
    try:
        words = [line.rsplit(" ", 1)[0] for line in _lines(folder / VOCABULARY)]
        pairs = [tuple(line.split()[:2]) for line in _lines(folder / CODES)]
        merges = [(one, other) for one, other in pairs]
    except (OSError, ValueError) as error:
        raise CheckpointError(folder, f"{CODES} and {VOCABULARY}: {error}") from error
    known = {token: number for number, token in enumerate(_FIRST)}
    for word in words:
        token = word.removesuffix(_CONTINUES) if word.endswith(_CONTINUES) else word + _ENDS
        known[token] = len(known)
    known[_MASK] = len(known)
    every = dict(known)
    for one, other in merges:
        for token in (one, other, one + other):
            every.setdefault(token, len(every))
    tokenizer = Tokenizer(models.BPE(every, merges, unk_token="<unk>", end_of_word_suffix=_ENDS))  # noqa: S106
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace(Regex(f"^{short}$"), written) for short, written in _WRITTEN.items()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([*_FIRST, _MASK])
    return tokenizer, len(known)


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]
