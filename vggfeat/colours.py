"""8-bit RGB from the colours of any mode of Pillow's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SLICE = 1 << 22  # pixels of deep grey that are worked on at a time


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB from any mode Pillow opens: 16 bits scaled down, transparency on white."""
    image.load()
    image = eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, or of floats in 0..1 or 0..255, as 8-bit grey; others as they are.

    16 bits keep their high byte, as Pillow does with 16-bit colour, and the transparent one of
    them becomes white. 32-bit integers are taken for 16 bits, or for 8 where none is larger.
    """
    if not image.mode.startswith("I") and image.mode != "F":
        return image
    largest = max(float(pixels.max()) for _, pixels in _slices(image))
    transparent = image.info.get("transparency")
    grey = np.empty((image.height, image.width), np.uint8)
    for rows, pixels in _slices(image):
        if image.mode == "F":
            grey[rows] = (pixels * 255 if largest <= 1 else pixels).clip(0, 255)
        elif image.mode == "I" and largest <= 255:
            grey[rows] = pixels.clip(0, 255)
        else:
            grey[rows] = pixels.clip(0, 65535) >> 8
            if image.mode != "I" and isinstance(transparent, int):
                grey[rows][pixels == transparent] = 255
    return Image.fromarray(grey)


def _slices(image: Image.Image) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Rows of an image of numbers, some megapixels at a time; floats that are none as zero."""
    rows = max(_SLICE // image.width, 1)
    for first in range(0, image.height, rows):
        last = min(first + rows, image.height)
        part = image.crop((0, first, image.width, last)) if rows < image.height else image
        pixels = np.asarray(part)
        yield slice(first, last), np.nan_to_num(pixels) if image.mode == "F" else pixels
