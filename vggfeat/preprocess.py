"""From an image in any form to the uint8 RGB square that VGG16 sees.

As TF-Slim evaluates VGG (research/slim/preprocessing/vgg_preprocessing.py of
tensorflow/models): the smaller side to 256 with the aspect kept (sizes truncated to whole
pixels), then the central 224x224. The mean is subtracted later, inside the model. Resampling
is Pillow's bilinear, which averages over all source pixels when it shrinks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from vggfeat.colours import eight_bits, to_rgb
from vggfeat.decode import MAX_PIXELS, check_size, opened, reasons
from vggfeat.errors import ImageError, UsageError
from vggfeat.vgg16 import SIZE, text

__all__ = [
    "MAX_PIXELS",
    "RESIZE",
    "ImageData",
    "Preprocessing",
    "crop_box",
    "fit",
    "preprocess",
    "to_rgb",
    "upright",
]

ImageData: TypeAlias = "bytes | Image.Image | NDArray[np.uint8]"

RESIZE = 256
# From how many pixels on an image is converted a band at a time, and in how many bands.
_MANY_PIXELS = 1 << 25
_BANDS = 14

# What turns the stored pixels upright, for each EXIF orientation but the first.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Those for which the stored image is mirrored in upright x, in upright y, and has them swapped.
_MIRRORED_X, _MIRRORED_Y, _SWAPPED = (
    frozenset(map(_TURNS.get, orientations))
    for orientations in ((2, 3, 6, 7), (3, 4, 7, 8), (5, 6, 7, 8))
)


@dataclass(frozen=True)
class Preprocessing:
    """How the images of a run become what the network sees: the settings of `preprocess`."""

    resize: int = RESIZE
    fast_decode: bool = False

    def __post_init__(self) -> None:
        if self.resize < SIZE:
            raise UsageError(f"resize to {self.resize}: the crop takes {SIZE}, that is the least")

    def __call__(self, image: ImageData) -> NDArray[np.uint8]:
        return preprocess(image, self.resize, self.fast_decode)


def preprocess(
    image: ImageData, resize: int = RESIZE, fast_decode: bool = False
) -> NDArray[np.uint8]:
    """Decode an image and cut out what the network sees.

    Args:
        image: the whole content of an image file, in any format Pillow reads (of an animation
            the first frame); a PIL image; or a uint8 array `[h,w]`, `[h,w,3]` (RGB) or
            `[h,w,4]` (RGBA). An array of 224x224x3 is taken as it is.
        resize: length of the smaller side before the crop, in pixels, at least 224.
        fast_decode: let the decoder shrink large JPEGs by 2, 4 or 8, to no less than `resize`.
            Pixels move by some tenths of a grey level on average.

    Returns:
        uint8 `[224,224,3]`, RGB.

    Raises:
        ImageError: with the reason, where it is no whole image or too large a one.
    """
    if isinstance(image, np.ndarray):
        if image.shape == (SIZE, SIZE, 3) and image.dtype == np.uint8:
            return image
        image = _from_array(image)
    with reasons():
        if isinstance(image, Image.Image):
            return fit(image, resize)
        with opened(image, resize if fast_decode else None) as file:
            return fit(file, resize)


def _from_array(array: NDArray[Any]) -> Image.Image:
    if array.dtype != np.uint8:
        raise ImageError(f"an array of {array.dtype}: give uint8, with values from 0 to 255")
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (1,), (3,), (4,)):
        raise ImageError(
            f"an array of shape {text(array.shape)}: give [height,width,3] in RGB (channels last)"
        )
    if 0 in array.shape:
        raise ImageError(f"it has no pixels: shape {text(array.shape)}")
    return Image.fromarray(array[:, :, 0] if array.shape[2:] == (1,) else array)


def fit(image: Image.Image, resize: int = RESIZE) -> NDArray[np.uint8]:
    """Orient, convert, resize and center-crop an opened image: uint8 `[224,224,3]`, RGB.

    Raises:
        ImageError: the image has no pixels or too many. Errors of Pillow's decoders pass.
    """
    check_size(image)
    if image.width * image.height > _MANY_PIXELS:
        return _fit_in_bands(image, resize)
    image = to_rgb(upright(image))
    resized = image.resize(
        (SIZE, SIZE), Image.Resampling.BILINEAR, box=crop_box(image.width, image.height, resize)
    )
    return np.asarray(resized)


def _fit_in_bands(image: Image.Image, resize: int) -> NDArray[np.uint8]:
    """The same with little memory beside the image: a few rows of the result after the other.

    A resampling that starts elsewhere rounds elsewhere, which moves some pixels by a grey level.
    """
    turn = _turn(image)
    image = eight_bits(image)
    width, height = image.size[::-1] if turn in _SWAPPED else image.size
    left, top, right, bottom = crop_box(width, height, resize)
    # Resampling looks as far to each side as a pixel of the result reaches.
    margin_x, margin_y = (max(side / SIZE, 1) + 1 for side in (right - left, bottom - top))
    first_x, last_x = max(int(left - margin_x), 0), min(int(right + margin_x), width)
    rows = SIZE // _BANDS
    step = (bottom - top) / _BANDS
    bands = []
    for start in (top + step * number for number in range(_BANDS)):
        first_y = max(int(start - margin_y), 0)
        last_y = min(int(start + step + margin_y), height)
        stored = image.crop(_stored(turn, (width, height), (first_x, first_y, last_x, last_y)))
        band = to_rgb(stored if turn is None else stored.transpose(turn))
        box = (left - first_x, start - first_y, right - first_x, start + step - first_y)
        bands.append(np.asarray(band.resize((SIZE, rows), Image.Resampling.BILINEAR, box=box)))
    return np.concatenate(bands)


def _stored(
    turn: Image.Transpose | None, size: tuple[int, int], box: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    """Where in the stored image a box of the upright one is."""
    (width, height), (left, top, right, bottom) = size, box
    if turn in _MIRRORED_X:
        left, right = width - right, width - left
    if turn in _MIRRORED_Y:
        top, bottom = height - bottom, height - top
    return (top, left, bottom, right) if turn in _SWAPPED else (left, top, right, bottom)


def crop_box(width: int, height: int, resize: int) -> tuple[float, float, float, float]:
    """The part of the image that the central crop shows, in its own pixels.

    Resizing this box alone gives the pixels that cropping the resized whole would give, at
    three quarters of the work.
    """
    smaller = min(width, height)
    new_width, new_height = width * resize // smaller, height * resize // smaller
    left, top = (new_width - SIZE) // 2, (new_height - SIZE) // 2
    x, y = width / new_width, height / new_height
    return left * x, top * y, (left + SIZE) * x, (top + SIZE) * y


def upright(image: Image.Image) -> Image.Image:
    """The image as its EXIF orientation means it to be seen."""
    turn = _turn(image)
    return image if turn is None else image.transpose(turn)


def _turn(image: Image.Image) -> Image.Transpose | None:
    image.load()  # Pillow turns a TIFF by itself while it loads it, and drops the tag then
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except (OSError, MemoryError):
        raise
    except Exception:
        # Unreadable EXIF is a flaw of the metadata: the pixels are as good as without any.
        return None
    # Not ImageOps.exif_transpose: it writes the EXIF anew as well, and fails where another
    # tag of it is odd.
    return _TURNS.get(orientation) if isinstance(orientation, int) else None
