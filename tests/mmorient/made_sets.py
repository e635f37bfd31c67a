"""The research sets' layouts, with a dozen made-up posts each."""

import csv
from pathlib import Path

from PIL import Image

from tests.mmorient.conftest import encode

SETS = {"sentiment": 3, "irony": 2, "offensive": 2, "hate": 2, "emotion": 4}


def write_table(path: Path, rows: list[dict[str, object]]) -> None:
    """As csv."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_sets(root: Path) -> None:
    """Every set in its layout, a dozen posts each."""
    for name, classes in SETS.items():
        folder = root / "tweeteval" / "datasets" / name
        folder.mkdir(parents=True)
        for split in ("train", "val"):
            (folder / f"{split}_text.txt").write_text("".join(f"{split} {name} tweet {n}\n" for n in range(12)))
            (folder / f"{split}_labels.txt").write_text("".join(f"{n % classes}\n" for n in range(12)))
    (root / "sarcasm_text").mkdir()
    for name in ("mmsd2_train", "mmsd2_valid", "isarcasmeval_train"):
        rows = [{"text": f"<user> {name} row {n} <num>", "sarcastic": n % 2} for n in range(12)]
        write_table(root / "sarcasm_text" / f"{name}.csv", rows)
    for name, words in (("sarcasm_tweets", "oh great {n} #not"), ("sarcasm_v2", "do you now {n}")):
        rows = [
            {"text": words.format(n=n), "sarcastic": n % 2, "split": "val" if n > 8 else "train"} for n in range(12)
        ]
        write_table(root / "sarcasm_text" / f"{name}.csv", rows)
    (root / "hatemoji").mkdir()
    for split in ("train", "val"):
        hate = [
            {
                "text": f"{split} \N{GRINNING FACE} {n}",
                "hateful": n % 2,
                "type": ("none", "dehumanizinglanguage")[n % 2],
            }
            for n in range(12)
        ]
        write_table(root / "hatemoji" / f"{split}.csv", hate)
    for language in ("english", "german"):
        folder = root / "umsab" / language
        folder.mkdir(parents=True)
        for split in ("train", "val"):
            (folder / f"{split}_text.txt").write_text("".join(f"{split} {language} {n}\n" for n in range(6)))
            (folder / f"{split}_labels.txt").write_text("".join(f"{n % 3}\n" for n in range(6)))
    (root / "mvsa_single" / "data").mkdir(parents=True)
    (root / "memotion_dataset_7k" / "images").mkdir(parents=True)
    tweets, memes, splits = [], [], []
    for n in range(12):
        split = "val" if n > 7 else "train"
        picture = encode(Image.new("RGB", (20, 20), (20 * n, 100, 50)), "JPEG")
        tweets.append({"id": n, "label": ("negative", "neutral", "positive")[n % 3], "split": split})
        (root / "mvsa_single" / "data" / f"{n}.txt").write_text(f"a tweet {n}")
        (root / "mvsa_single" / "data" / f"{n}.jpg").write_bytes(picture)
        (root / "memotion_dataset_7k" / "images" / f"i{n}.jpg").write_bytes(picture if n else b"broken")
        splits.append({"image_name": f"i{n}.jpg", "split": split})
        memes.append(
            {
                "image_name": f"i{n}.jpg",
                "text_ocr": f"MEME {n}",
                "text_corrected": "" if n % 2 else f"meme {n}",
                "humour": ("not_funny", "funny", "very_funny", "hilarious")[n % 4],
                "sarcasm": ("not_sarcastic", "general", "twisted_meaning", "very_twisted")[n % 4],
                "offensive": ("not_offensive", "slight", "very_offensive", "hateful_offensive")[n % 4],
                "motivational": ("not_motivational", "motivational")[n % 2],
                "overall_sentiment": ("very_negative", "negative", "neutral", "positive", "very_positive")[n % 5],
            }
        )
    write_table(root / "mvsa_single" / "labels.csv", tweets)
    write_table(root / "memotion_dataset_7k" / "labels.csv", memes)
    write_table(root / "memotion_dataset_7k" / "splits.csv", splits)
