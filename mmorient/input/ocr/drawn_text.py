"""What a checkpoint does about the text drawn over pictures (PAE, section 1; arXiv 2508.16300)."""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from mmorient.config import DrawnTextConfig
from mmorient.input.formats.source import PICTURE_VERSION
from mmorient.input.ocr import OCR_VERSION
from mmorient.input.ocr.detector import Rgb
from mmorient.input.ocr.inpaint import inpaint
from mmorient.input.ocr.reader import PictureReader
from mmorient.input.posts import Frame
from mmorient.package_files import package_file, packaged_file

PACKAGE = "rapidocr-onnxruntime"
"""Its wheel carries the networks; nothing of its code is run."""

_DETECTOR = "models/ch_PP-OCRv4_det_infer.onnx"
_RECOGNISER = "models/ch_PP-OCRv4_rec_infer.onnx"


class DrawnText:
    """The reader and the painter behind the switches ``ocr`` and ``inpaint``. Any thread may call it.

    Attributes:
        reads: The text over a picture is the text of a post that brings none.
        paints: The picture encoder sees pictures without their text.
        digest: ``sha256:…`` of all that a read text depends on besides the picture: a key to cache it under, which
            stays the same when the model is trained anew.

    Raises:
        CheckpointError: The package with the networks is missing or other.
    """

    def __init__(self, config: DrawnTextConfig) -> None:
        self.reads = config.ocr
        self.paints = config.inpaint
        self.digest = f"sha256:{hashlib.sha256(json.dumps(_identity(config), sort_keys=True).encode()).hexdigest()}"
        self._reader = PictureReader(
            package_file(config.package, config.detector.file, config.detector.sha256),
            package_file(config.package, config.recogniser.file, config.recogniser.sha256),
        )

    def looks_at(self, *, read: bool) -> bool:
        """Whether ``treat`` needs the picture at all."""
        return self.paints or (self.reads and read)

    def treat(
        self,
        rgb: Rgb,
        square: Rgb,
        *,
        read: bool,
        frame: Frame = Frame(),  # noqa: B008 - frozen
    ) -> tuple[Rgb, str | None]:
        """Paint and read as the switches say; the detector runs once for both.

        Args:
            rgb: uint8 ``[H, W, 3]``: the picture in a size in which it can be read, upright.
            square: uint8 ``[S, S, 3]``: the same picture as the encoder wants it.
            read: Whether its text is wanted. Does not change the square.
            frame: What the square shows of the picture.

        Returns:
            The square, painted where ``paints``; the text where ``reads`` and ``read``, else None.
        """
        boxes = self._reader.boxes(rgb)
        if self.paints:
            left, top, right, bottom = frame.part(rgb.shape[1], rgb.shape[0])
            corner: NDArray[np.float32] = np.array([left, top], np.float32)
            scale: NDArray[np.float32] = np.array(
                [frame.side / (right - left), frame.side / (bottom - top)], np.float32
            )
            square = inpaint(square, (boxes - corner) * scale)
        return square, self._reader.read(rgb, boxes).text if self.reads and read else None


def drawn_text_config(*, ocr: bool = True, inpaint: bool = True) -> DrawnTextConfig:
    """The config of a new checkpoint, with the installed networks' digests.

    Raises:
        CheckpointError: The package with the networks is not installed.
    """
    return DrawnTextConfig(
        version=OCR_VERSION,
        ocr=ocr,
        inpaint=inpaint,
        package=PACKAGE,
        detector=packaged_file(PACKAGE, _DETECTOR),
        recogniser=packaged_file(PACKAGE, _RECOGNISER),
    )


def _identity(config: DrawnTextConfig) -> dict[str, str]:
    return {
        "version": config.version,
        "pictures": PICTURE_VERSION,
        "detector": config.detector.sha256,
        "recogniser": config.recogniser.sha256,
    }
