"""From an image in any form to the uint8 RGB square that VGG16 sees.

As TF-Slim evaluates VGG (research/slim/preprocessing/vgg_preprocessing.py of
tensorflow/models): the smaller side to 256 with the aspect kept (sizes truncated to whole
pixels), then the central 224x224, or in proportion for another size. The mean is subtracted
later, inside the model. Resampling is Pillow's bilinear, which averages over all source pixels
when it shrinks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vggfeat.colours import eight_bits, to_rgb
from vggfeat.decode import MAX_PIXELS, check_size, opened, reasons
from vggfeat.errors import ImageError, UsageError
from vggfeat.orientation import SWAPPED, stored_box, turn_of, upright
from vggfeat.vgg16 import LARGEST, SIZE, SMALLEST, text

__all__ = [
    "MAX_PIXELS",
    "RESIZE",
    "ImageData",
    "Preprocessing",
    "crop_box",
    "fit",
    "preprocess",
    "preprocessing",
    "to_rgb",
    "upright",
]

ImageData: TypeAlias = "bytes | Image.Image | NDArray[np.uint8]"

RESIZE = 256  # at 224 pixels; other sizes show the same part of the picture
# From how many pixels on an image is converted a band at a time, and how many rows of the result
# a band makes.
_MANY_PIXELS = 1 << 25
_BAND_ROWS = 16


@dataclass(frozen=True)
class Preprocessing:
    """How the images of a run become what the network sees: the settings of `preprocess`.

    Raises:
        UsageError: the crop would be larger than the image, or smaller than the network takes.
    """

    resize: int = RESIZE
    fast_decode: bool = False
    size: int = SIZE

    def __post_init__(self) -> None:
        if self.size < SMALLEST:
            raise UsageError(f"size {self.size}: the least is {SMALLEST}, of which pool5 is 1x1")
        if self.size > LARGEST:
            raise UsageError(f"size {self.size}: the most is {LARGEST}, for the memory it takes")
        if self.resize < self.size:
            raise UsageError(
                f"resize to {self.resize}: the crop takes {self.size}, that is the least"
            )

    def __call__(self, image: ImageData) -> NDArray[np.uint8]:
        return preprocess(image, self.resize, self.fast_decode, self.size)


def preprocessing(
    resize: int | None = None, fast_decode: bool = False, size: int = SIZE
) -> Preprocessing:
    """With a resize that goes with the size where none is asked for: 256 for 224, 512 for 448."""
    return Preprocessing(RESIZE * size // SIZE if resize is None else resize, fast_decode, size)


def preprocess(
    image: ImageData, resize: int = RESIZE, fast_decode: bool = False, size: int = SIZE
) -> NDArray[np.uint8]:
    """Decode an image and cut out what the network sees.

    Args:
        image: the whole content of an image file, in any format Pillow reads (of an animation
            the first frame); a PIL image; or a uint8 array `[h,w]`, `[h,w,3]` (RGB) or
            `[h,w,4]` (RGBA). An array of size x size x 3 is taken as it is.
        resize: length of the smaller side before the crop, in pixels, at least `size`.
        fast_decode: let the decoder shrink large JPEGs by 2, 4 or 8, to no less than `resize`.
            Pixels move by some tenths of a grey level on average.
        size: of the crop, in pixels.

    Returns:
        uint8 `[size,size,3]`, RGB.

    Raises:
        ImageError: with the reason, where it is no whole image or too large a one.
    """
    if isinstance(image, np.ndarray):
        if image.shape == (size, size, 3) and image.dtype == np.uint8:
            return image
        image = _from_array(image)
    with reasons():
        if isinstance(image, Image.Image):
            return fit(image, resize, size)
        with opened(image, resize if fast_decode else None) as file:
            return fit(file, resize, size)


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


def fit(image: Image.Image, resize: int = RESIZE, size: int = SIZE) -> NDArray[np.uint8]:
    """Orient, convert, resize and center-crop an opened image: uint8 `[size,size,3]`, RGB.

    Raises:
        ImageError: the image has no pixels or too many. Errors of Pillow's decoders pass.
    """
    check_size(image)
    if image.width * image.height > _MANY_PIXELS:
        return _fit_in_bands(image, resize, size)
    image = to_rgb(upright(image))
    box = crop_box(image.width, image.height, resize, size)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box))


def _fit_in_bands(image: Image.Image, resize: int, size: int) -> NDArray[np.uint8]:
    """The same with little memory beside the image: a few rows of the result after the other.

    A resampling that starts elsewhere rounds elsewhere, which moves some pixels by a grey level.
    """
    turn = turn_of(image)
    image = eight_bits(image)
    width, height = image.size[::-1] if turn in SWAPPED else image.size
    left, top, right, bottom = crop_box(width, height, resize, size)
    scale_x, scale_y = (right - left) / size, (bottom - top) / size
    # Resampling looks as far to each side as a pixel of the result reaches.
    margin_x, margin_y = (max(scale, 1) + 1 for scale in (scale_x, scale_y))
    first_x, last_x = max(int(left - margin_x), 0), min(int(right + margin_x), width)
    bands = []
    for row in range(0, size, _BAND_ROWS):
        rows = min(_BAND_ROWS, size - row)
        start, end = top + scale_y * row, top + scale_y * (row + rows)
        first_y, last_y = max(int(start - margin_y), 0), min(int(end + margin_y), height)
        stored = image.crop(stored_box(turn, (width, height), (first_x, first_y, last_x, last_y)))
        band = to_rgb(stored if turn is None else stored.transpose(turn))
        box = (left - first_x, start - first_y, right - first_x, end - first_y)
        bands.append(np.asarray(band.resize((size, rows), Image.Resampling.BILINEAR, box=box)))
    return np.concatenate(bands)


def crop_box(
    width: int, height: int, resize: int, size: int = SIZE
) -> tuple[float, float, float, float]:
    """The part of the image that the central crop shows, in its own pixels.

    Resizing this box alone gives the pixels that cropping the resized whole would give, at
    three quarters of the work.
    """
    smaller = min(width, height)
    new_width, new_height = width * resize // smaller, height * resize // smaller
    left, top = (new_width - size) // 2, (new_height - size) // 2
    x, y = width / new_width, height / new_height
    return left * x, top * y, (left + size) * x, (top + size) * y
