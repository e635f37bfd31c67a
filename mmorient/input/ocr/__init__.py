"""Text drawn over pictures: read it, and paint it out (PAE, section 1 of the specification; arXiv 2508.16300).

``reader``      boxes and text of a picture: ``detector`` finds the lines, ``recogniser`` reads them
``inpaint``     a mask of the boxes, painted over
``drawn_text``  the two switches of a checkpoint, ready for ``mmorient.decode_picture``

Needs the extra ``ocr`` (``pip install 'mm-orient-moderation[ocr]'``). Importing this package alone loads neither OpenCV
nor onnxruntime: only a checkpoint that switches one of the two on does.
"""

from __future__ import annotations

OCR_VERSION = "ocr/1"
"""Raise this with any change here that can change a box, a character or a painted pixel: caches depend on it."""

__all__ = ["OCR_VERSION"]
