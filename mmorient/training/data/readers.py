"""Readers: Memotion 7k, MVSA-Single, TweetEval, sarcasm tables, own files; all into examples with partial labels."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from mmorient.errors import DataError
from mmorient.files.refusals import Refusals
from mmorient.labels import TASKS
from mmorient.network.mm_orient import DEGREES
from mmorient.training.data.examples import PROBES, TRAIN, VAL, Example
from mmorient.training.data.posts_file import ENDINGS, read_posts

_log = logging.getLogger(__name__)

# MMSD2.0's own placeholders, and what a live post has in their place.
_PLACEHOLDERS = {"<user>": "@user", "<url>": "http", "<num>": ""}
_PLACEHOLDER = re.compile("|".join(_PLACEHOLDERS))
_MEMOTION_SENTIMENT = {
    "very_negative": 0,
    "negative": 0,
    "neutral": 1,
    "positive": 2,
    "very_positive": 2,
}


def read_all(data: Path) -> list[Example]:
    """Read every set under the folder.

    Args:
        data: Holds any of ``memotion_dataset_7k``, ``mvsa_single``, ``tweeteval/datasets`` and ``sarcasm_text``, and
            any files of labelled posts, as ``read_posts`` takes them. Names that begin with ``_`` or ``.`` are passed
            over, and empty files with a word. Rows of those files that cannot be used are named in the log, the first
            few of each kind, and left out.

    Raises:
        DataError: No set is there, or one is laid out otherwise; or no row of a file can be used.
    """
    folders = [(reader, data / name) for name, reader in _SETS.items()]
    examples = [example for reader, folder in folders if folder.is_dir() for example in reader(folder)]
    refusals = Refusals(lambda said: _log.warning("refused: %s", said))
    for file in sorted(data.iterdir()) if data.is_dir() else ():
        if file.name.startswith(("_", ".")) or not file.name.lower().endswith(ENDINGS) or not file.is_file():
            continue
        if not file.stat().st_size:
            _log.warning("%s: is empty, passed over", file)
            continue
        examples += read_posts(file, refusals.add)
    refusals.close()
    if refusals.count:
        _log.warning("%d rows were refused", refusals.count)
    if not examples:
        raise DataError(f"{data}: no examples; looked for {', '.join(_SETS)}, *.csv, *.tsv, *.jsonl, *.ndjson, *.json")
    return examples


def read_memotion(folder: Path) -> Iterator[Example]:
    """Memotion 7k: memes with all five tasks and their intensities."""
    splits = {row["image_name"]: row["split"] for row in _table(folder / "splits.csv")}
    for row in _table(folder / "labels.csv"):
        targets = {"sentiment": _MEMOTION_SENTIMENT[row["overall_sentiment"]]}
        targets["motivation"] = TASKS["motivation"].classes.index(row["motivational"])
        for task, column in (("humour", "humour"), ("sarcasm", "sarcasm"), ("offensiveness", "offensive")):
            degree = TASKS[task].degrees.index(row[column])
            targets[task] = int(degree > 0)
            if degree:
                targets[task + DEGREES] = degree - 1
        text = (row["text_corrected"] or row["text_ocr"] or "").strip()
        yield Example("memotion", splits[row["image_name"]], text, folder / "images" / row["image_name"], targets)


def read_mvsa(folder: Path) -> Iterator[Example]:
    """MVSA-Single: tweets with a picture, sentiment."""
    for row in _table(folder / "labels.csv"):
        text = (folder / "data" / f"{row['id']}.txt").read_text(encoding="utf-8", errors="replace")
        target = TASKS["sentiment"].classes.index(row["label"])
        picture = folder / "data" / f"{row['id']}.jpg"
        yield Example("mvsa", row["split"], text.strip(), picture, {"sentiment": target})


def read_tweeteval(folder: Path) -> Iterator[Example]:
    """TweetEval: sentiment, irony (as sarcasm), offensive; hate and emotion for the probes."""
    heads = {"sentiment": "sentiment", "irony": "sarcasm", "offensive": "offensiveness"}
    for name in ("sentiment", "irony", "offensive", "hate", "emotion"):
        for split in (TRAIN, VAL):
            texts = _lines(folder / name / f"{split}_text.txt")
            labels = [int(line) for line in _lines(folder / name / f"{split}_labels.txt")]
            if len(texts) != len(labels):
                raise DataError(f"{folder / name}: {len(texts)} {split} texts, {len(labels)} labels")
            for text, label in zip(texts, labels, strict=True):
                targets = {f"probe_{name}": label} if name in PROBES else {}
                if name in heads:
                    targets[heads[name]] = label
                yield Example(name, split, text, None, targets)


def read_sarcasm(folder: Path) -> Iterator[Example]:
    """Tables of ``text,sarcastic``: MMSD2.0 and iSarcasmEval, whose train part gives every tenth post to val."""
    for name, source, split in (
        ("mmsd2_train", "mmsd2", TRAIN),
        ("mmsd2_valid", "mmsd2", VAL),
        ("isarcasmeval_train", "isarcasm", ""),
    ):
        for index, row in enumerate(_table(folder / f"{name}.csv")):
            part = split or (VAL if index % 10 == 0 else TRAIN)
            text = _PLACEHOLDER.sub(lambda found: _PLACEHOLDERS[found[0]], row["text"])
            label = int(row["sarcastic"])
            yield Example(source, part, text, None, {"sarcasm": label, "probe_sarcasm": label})


_SETS: dict[str, Callable[[Path], Iterator[Example]]] = {
    "memotion_dataset_7k": read_memotion,
    "mvsa_single": read_mvsa,
    "tweeteval/datasets": read_tweeteval,
    "sarcasm_text": read_sarcasm,
}


def _table(file: Path) -> Iterator[dict[str, str]]:
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            yield from csv.DictReader(lines)
    except FileNotFoundError as error:
        raise DataError(f"{file}: is missing") from error


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except FileNotFoundError as error:
        raise DataError(f"{file}: is missing") from error
