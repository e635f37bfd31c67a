"""Readers: Memotion 7k, MVSA-Single, TweetEval, sarcasm tables, HatemojiBuild, UMSAB, own files.

All of them give examples with partial labels.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mmorient.errors import DataError
from mmorient.files.refusals import Refusals
from mmorient.labels import DEGREES, TASKS
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
# What collected the sarcastic tweets, where it was not taken out: it gives the label away.
_GIVEAWAY = re.compile(r"#\s?(?:not|sarcas\w*|irony|ironic)\b", re.IGNORECASE)
# How hostile HatemojiBuild's kinds of hate are, as a degree of offensiveness beyond "not at all".
_HATEFUL = 2
_HATE_DEGREES = {"animosity": 1, "derogation": 1, "threateninglanguage": _HATEFUL, "dehumanizinglanguage": _HATEFUL}
_LANGUAGES = {
    "arabic": "ar",
    "english": "en",
    "french": "fr",
    "german": "de",
    "hindi": "hi",
    "italian": "it",
    "portuguese": "pt",
    "spanish": "es",
}


def read_all(data: Path | None, more: Sequence[Path] = ()) -> list[Example]:
    """Read every set under the folder, and files beside it.

    Args:
        data: Holds any of ``memotion_dataset_7k``, ``mvsa_single``, ``tweeteval/datasets``, ``sarcasm_text``,
            ``hatemoji`` and ``umsab``, and any files of labelled posts, as ``read_posts`` takes them. Names that begin
            with ``_`` or ``.`` are passed over, and empty files with a word. Rows of those files that cannot be used
            are named in the log, the first few of each kind, and left out. None where there are files alone.
        more: Further files of labelled posts, such as what ``moderate verdicts export`` writes.

    Raises:
        DataError: No set is there, or one is laid out otherwise; or no row of a file can be used.
    """
    folders = [(reader, data / name) for name, reader in _SETS.items()] if data is not None else []
    examples = [example for reader, folder in folders if folder.is_dir() for example in reader(folder)]
    refusals = Refusals(lambda said: _log.warning("refused: %s", said))
    there = sorted(data.iterdir()) if data is not None and data.is_dir() else []
    files = [one for one in there if not one.name.startswith(("_", ".")) and one.name.lower().endswith(ENDINGS)]
    for file in (*filter(Path.is_file, files), *more):
        if not file.stat().st_size:
            _log.warning("%s: is empty, passed over", file)
            continue
        examples += read_posts(file, refusals.add)
    refusals.close()
    if refusals.count:
        _log.warning("%d rows were refused", refusals.count)
    if not examples:
        where = data if data is not None else ", ".join(map(str, more))
        raise DataError(f"{where}: no examples; looked for {', '.join(_SETS)}, *.csv, *.tsv, *.jsonl, *.ndjson, *.json")
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
            for text, label in _labelled_lines(folder / name, split):
                targets = {f"probe_{name}": label} if name in PROBES else {}
                if name in heads:
                    targets[heads[name]] = label
                if name == "hate" and label:
                    targets["offensiveness" + DEGREES] = _HATEFUL
                yield Example(name, split, text, None, targets)


def read_sarcasm(folder: Path) -> Iterator[Example]:
    """Tables of ``text,sarcastic``, each left out where it is not there.

    MMSD2.0; iSarcasmEval, whose train part gives every tenth post to val; sarcastic tweets (Ghosh and Veale 2016)
    without the hashtag that collected them; posts of a forum (Oraby et al. 2016).

    Raises:
        DataError: None of them is there.
    """
    tables = [(folder / f"{name}.csv", source, split) for name, source, split in _SARCASM]
    if not any(file.is_file() for file, _, _ in tables):
        raise DataError(f"{folder}: none of {', '.join(file.name for file, _, _ in tables)} is there")
    for file, source, split in tables:
        for index, row in enumerate(_table(file) if file.is_file() else ()):
            part = split or row.get("split") or (VAL if index % 10 == 0 else TRAIN)
            text = _PLACEHOLDER.sub(lambda found: _PLACEHOLDERS[found[0]], row["text"])
            label = int(row["sarcastic"])
            text = _GIVEAWAY.sub("", text) if source == "sarcasm_tweets" else text
            yield Example(source, part, text, None, {"sarcasm": label, "probe_sarcasm": label})


def read_hatemoji(folder: Path) -> Iterator[Example]:
    """HatemojiBuild: short posts with emoji; hateful ones are offensive, with a degree by the kind of hate.

    What is not hateful may well be offensive ("my dealer is a …"): nothing is said of that.
    """
    for split in (TRAIN, VAL):
        for row in _table(folder / f"{split}.csv"):
            label = int(row["hateful"])
            targets = {"probe_hate": label}
            if label:
                targets |= {"offensiveness": 1, "probe_offensive": 1}
            if row["type"] in _HATE_DEGREES:
                targets["offensiveness" + DEGREES] = _HATE_DEGREES[row["type"]]
            yield Example("hatemoji", split, row["text"], None, targets)


def read_umsab(folder: Path) -> Iterator[Example]:
    """UMSAB (Barbieri et al. 2022): sentiment of tweets in eight languages, a source each, as ``umsab_de``."""
    for name, code in _LANGUAGES.items():
        for split in (TRAIN, VAL) if (folder / name).is_dir() else ():
            for text, label in _labelled_lines(folder / name, split):
                yield Example(f"umsab_{code}", split, text, None, {"sentiment": label})


_SARCASM = (
    ("mmsd2_train", "mmsd2", TRAIN),
    ("mmsd2_valid", "mmsd2", VAL),
    ("isarcasmeval_train", "isarcasm", ""),
    ("sarcasm_tweets", "sarcasm_tweets", ""),
    ("sarcasm_v2", "sarcasm_forum", ""),
)
_SETS: dict[str, Callable[[Path], Iterator[Example]]] = {
    "memotion_dataset_7k": read_memotion,
    "mvsa_single": read_mvsa,
    "tweeteval/datasets": read_tweeteval,
    "sarcasm_text": read_sarcasm,
    "hatemoji": read_hatemoji,
    "umsab": read_umsab,
}


def _table(file: Path) -> Iterator[dict[str, str]]:
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            yield from csv.DictReader(lines)
    except FileNotFoundError as error:
        raise DataError(f"{file}: is missing") from error


def _labelled_lines(folder: Path, split: str) -> Iterator[tuple[str, int]]:
    """Texts and labels of a split in TweetEval's layout."""
    texts = _lines(folder / f"{split}_text.txt")
    labels = [int(line) for line in _lines(folder / f"{split}_labels.txt")]
    if len(texts) != len(labels):
        raise DataError(f"{folder}: {len(texts)} {split} texts, {len(labels)} labels")
    yield from zip(texts, labels, strict=True)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except FileNotFoundError as error:
        raise DataError(f"{file}: is missing") from error
