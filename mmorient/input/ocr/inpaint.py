"""Text painted out of a picture, so that the encoder sees the scene (PAE, section 1; arXiv 2508.16300)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mmorient.input.ocr.detector import Boxes, Rgb

_RADIUS = 3.0  # pixels around a masked one that it is painted from


def text_mask(height: int, width: int, boxes: Boxes, *, margin: int = 2) -> NDArray[np.uint8]:
    """The pixels that boxes cover, and some around them.

    Args:
        height: Of the mask, in pixels.
        width: Of the mask, in pixels.
        boxes: float32 ``[n, 4, 2]`` in pixels of the mask.
        margin: Pixels around each box: letters bleed this far when a picture is resized.

    Returns:
        uint8 ``[height, width]``, 255 where there is text, 0 elsewhere.
    """
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.rint(box).astype(np.int32) for box in boxes], (255,))
    return np.asarray(cv2.dilate(mask, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)), np.uint8)


def inpaint(rgb: Rgb, boxes: Boxes, *, margin: int = 2) -> Rgb:
    """Paint boxes over from what surrounds them (Telea's fast marching).

    Args:
        rgb: uint8 ``[H, W, 3]``.
        boxes: float32 ``[n, 4, 2]`` in pixels of ``rgb``.
        margin: Pixels around each box that are painted as well.

    Returns:
        uint8 ``[H, W, 3]``. Pixels outside the mask are untouched; a picture that is text all over stays as it is,
        for there is nothing to paint it from.
    """
    mask = text_mask(rgb.shape[0], rgb.shape[1], boxes, margin=margin)
    if not mask.any() or mask.all():
        return rgb
    return np.asarray(cv2.inpaint(rgb, mask, _RADIUS, cv2.INPAINT_TELEA), np.uint8)
