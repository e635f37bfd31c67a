"""Where text is drawn: the PP-OCRv4 detector, sized down (PAE, section 1; arXiv 2508.16300).

The network gives each pixel a probability that it belongs to the core of a line of text (differentiable
binarisation); a line is a connected core, boxed by its smallest rectangle, which is then grown by what the cores of
the training data had been shrunk by.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mmorient.input.ocr.network import Network

Rgb = NDArray[np.uint8]
"""``[H, W, 3]``, RGB."""
Boxes = NDArray[np.float32]
"""``[n, 4, 2]``: x and y of top left, top right, bottom right and bottom left, in pixels of the picture."""

DETECTOR_SIDE = 448
"""Longer side in pixels at which text is looked for; `python -m bench.ocr` prints what other sides cost and find."""

_STRIDE = 32  # the network halves its input five times
_LARGEST_ENLARGEMENT = 4.0  # a 64-pixel icon is not worth the price of a photograph
_CORE = 0.3
_SCORE = 0.5
_GROWTH = 1.6
_SMALLEST_CORE = 3.0  # pixels of the detector's input
_MAX_CORES = 200  # noise can have thousands; a meme has ten


class TextDetector:
    """Finds the lines of text of a picture. Holds no state; any thread may call it."""

    def __init__(self, weights: Path, *, side: int = DETECTOR_SIDE, threads: int = 1) -> None:
        self._network = Network(weights, threads=threads)
        self._side = side

    def boxes(self, rgb: Rgb) -> Boxes:
        """Find lines of text.

        Args:
            rgb: uint8 ``[H, W, 3]``, any size.

        Returns:
            float32 ``[n, 4, 2]``, in no particular order.
        """
        height, width = rgb.shape[:2]
        scale = min(self._side / max(height, width), _LARGEST_ENLARGEMENT)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        found = self._network(_padded(np.asarray(small, np.uint8)))[0, 0, : size[1], : size[0]]
        boxes = _boxes(np.ascontiguousarray(found))
        boxes *= np.array([width / size[0], height / size[1]], np.float32)
        boxes[..., 0] = boxes[..., 0].clip(0, width)
        boxes[..., 1] = boxes[..., 1].clip(0, height)
        return boxes


def _padded(small: Rgb) -> NDArray[np.float32]:
    """To the network's input ``[1, 3, h, w]``: BGR in -1..1, both sides filled up to a multiple of 32 with grey."""
    height, width = small.shape[:2]
    canvas = np.zeros((-(-height // _STRIDE) * _STRIDE, -(-width // _STRIDE) * _STRIDE, 3), np.float32)
    canvas[:height, :width] = small[..., ::-1]
    canvas[:height, :width] *= 2 / 255
    canvas[:height, :width] -= 1
    return np.ascontiguousarray(canvas.transpose(2, 0, 1)[None])


def _boxes(probability: NDArray[np.float32]) -> Boxes:
    """Probabilities ``[h, w]`` to rectangles ``[n, 4, 2]`` in the same pixels."""
    cores = cv2.dilate((probability > _CORE).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(cores, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    largest = sorted(contours, key=cv2.contourArea, reverse=True)[:_MAX_CORES]
    boxes = []
    for contour in largest:
        centre, (across, down), angle = cv2.minAreaRect(contour)
        if min(across, down) < _SMALLEST_CORE:
            continue
        if _mean_inside(probability, _corners(centre, (across, down), angle)) < _SCORE:
            continue
        margin = 2 * across * down * _GROWTH / (2 * (across + down))
        boxes.append(_from_top_left(_corners(centre, (across + margin, down + margin), angle)))
    return np.array(boxes, np.float32).reshape(-1, 4, 2)


def _corners(centre: Sequence[float], size: Sequence[float], angle: float) -> NDArray[np.float32]:
    return np.asarray(cv2.boxPoints((centre, size, angle)), np.float32)


def _mean_inside(probability: NDArray[np.float32], corners: NDArray[np.float32]) -> float:
    height, width = probability.shape
    left, top = np.floor(corners.min(0)).astype(int).clip(0, (width - 1, height - 1))
    right, bottom = np.ceil(corners.max(0)).astype(int).clip(0, (width - 1, height - 1))
    mask = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(mask, [(corners - (left, top)).astype(np.int32)], (1,))
    return float(cv2.mean(probability[top : bottom + 1, left : right + 1], mask)[0])


def _from_top_left(corners: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same corners ``[4, 2]``, clockwise from the top left one."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    left = by_x[:2][np.argsort(by_x[:2, 1], kind="stable")]
    right = by_x[2:][np.argsort(by_x[2:, 1], kind="stable")]
    return np.array([left[0], right[0], right[1], left[1]], np.float32)
