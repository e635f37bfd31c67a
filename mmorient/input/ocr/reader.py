"""The text drawn over a picture, in reading order (PAE, section 1 of the specification; arXiv 2508.16300).

Detector first; the recogniser is called for the boxes that it finds, and never where there are none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mmorient.input.ocr.detector import DETECTOR_SIDE, Boxes, Rgb, TextDetector
from mmorient.input.ocr.recogniser import TextRecogniser, cut_line

MAX_TOTAL_COLUMNS = 8192
"""Pixels across of all lines of one picture together, at 48 down: half a second of one core. The rest is not read."""

_SCORE = 0.6
_SMALLEST_SIDE = 8  # pixels; no letter fits into less


@dataclass(frozen=True, slots=True, eq=False)
class ReadLine:
    """One line of text.

    Attributes:
        box: float32 ``[4, 2]``: x and y of its corners in pixels, clockwise from the top left.
        text: What it says.
        score: Mean probability of its characters, 0 to 1.
    """

    box: NDArray[np.float32]
    text: str
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class ReadPicture:
    """What is drawn over a picture.

    Attributes:
        lines: In reading order: rows from the top, within a row from the left.
        text: Their texts, a space between; empty where there are none.
    """

    lines: tuple[ReadLine, ...]
    text: str


class PictureReader:
    """Reads pictures: the same picture gives the same boxes and the same text. Any thread may call it.

    Args:
        detector: The PP-OCRv4 detector, ``.onnx``.
        recogniser: The PP-OCRv4 recogniser, ``.onnx``.
        side: Longer side in pixels at which text is looked for.
        threads: Threads of one call.
    """

    def __init__(self, detector: Path, recogniser: Path, *, side: int = DETECTOR_SIDE, threads: int = 1) -> None:
        # Pictures come from a pool of threads; OpenCV's own pool would compete with it.
        cv2.setNumThreads(1)
        self._detector = TextDetector(detector, side=side, threads=threads)
        self._recogniser = TextRecogniser(recogniser, threads=threads)

    def boxes(self, rgb: Rgb) -> Boxes:
        """Where lines of text are.

        Args:
            rgb: uint8 ``[H, W, 3]``, upright.

        Returns:
            float32 ``[n, 4, 2]`` in reading order, in pixels of ``rgb``.
        """
        if min(rgb.shape[:2]) < _SMALLEST_SIDE:
            return np.empty((0, 4, 2), np.float32)
        return _in_reading_order(self._detector.boxes(rgb))

    def read(self, rgb: Rgb, boxes: Boxes | None = None) -> ReadPicture:
        """Read a picture.

        Args:
            rgb: uint8 ``[H, W, 3]``, upright.
            boxes: From ``boxes``, where that has been called already.

        Returns:
            The lines that are legible.
        """
        lines = []
        columns = 0
        for box in self.boxes(rgb) if boxes is None else boxes:
            line = cut_line(rgb, box)
            columns += line.shape[1]
            if columns > MAX_TOTAL_COLUMNS:
                break
            text, score = self._recogniser.read(line)
            if score >= _SCORE:
                lines.append(ReadLine(box, text, score))
        return ReadPicture(tuple(lines), " ".join(line.text for line in lines))


def _in_reading_order(boxes: Boxes) -> Boxes:
    """Rows from the top, within a row from the left; a row is what overlaps its first box by half of its height."""
    rows: list[list[NDArray[np.float32]]] = []
    for box in sorted(boxes, key=_middle):
        first = rows[-1][0] if rows else None
        if first is not None and _middle(box)[0] - _middle(first)[0] < _height(first) / 2:
            rows[-1].append(box)
        else:
            rows.append([box])
    return np.array(list(_flat(rows)), np.float32).reshape(-1, 4, 2)


def _flat(rows: Iterable[list[NDArray[np.float32]]]) -> Iterable[NDArray[np.float32]]:
    for row in rows:
        yield from sorted(row, key=lambda box: float(box[:, 0].mean()))


def _middle(box: NDArray[np.float32]) -> tuple[float, float]:
    return float(box[:, 1].mean()), float(box[:, 0].mean())


def _height(box: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(box[0] - box[3]))
