"""From an image in any form to the uint8 RGB square that VGG16 sees.

As TF-Slim evaluates VGG (research/slim/preprocessing/vgg_preprocessing.py of
tensorflow/models): the smaller side to 256 with the aspect kept (sizes truncated to whole
pixels), then the central 224x224. The mean is subtracted later, inside the model. Resampling
is Pillow's bilinear, which averages over all source pixels when it shrinks.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from vggfeat.errors import ImageError, UsageError, describe_os_error
from vggfeat.vgg16 import SIZE, text

ImageData: TypeAlias = "bytes | Image.Image | NDArray[np.uint8]"

RESIZE = 256
MAX_PIXELS = 178_956_970  # Pillow's own bound on decompression bombs: half a GB of RGB

# What Pillow can read without loading all of its plugins, which takes a tenth of a second.
_COMMON_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM")

# Decoders left out: EPS starts Ghostscript on the file, and these others read no pixels.
_REFUSED_FORMATS = frozenset({"EPS", "BUFR", "GRIB", "HDF5", "MPEG", "WMF"})
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

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
    with _reasons():
        if isinstance(image, Image.Image):
            return fit(image, resize)
        with _open(image) as opened:
            if fast_decode:
                opened.draft(None, (resize, resize))
            return fit(opened, resize)


@contextlib.contextmanager
def _reasons() -> Iterator[None]:
    """Turn what Pillow raises into an ImageError with the reason."""
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError:
        raise ImageError(f"too large: the limit is {MAX_PIXELS:,} pixels in all") from None
    except OSError as error:
        raise ImageError(f"damaged or cut short: {describe_os_error(error)}") from error
    except MemoryError:
        raise ImageError("too large: not enough memory to decode it") from None
    except Exception as error:
        # A damaged file makes Pillow's parsers raise nearly anything: SyntaxError,
        # struct.error, ValueError, IndexError, zlib.error ...
        raise ImageError(f"damaged: {error or type(error).__name__}") from error


def _open(data: bytes) -> Image.Image:
    if not data:
        raise ImageError("the file is empty")
    try:
        return Image.open(io.BytesIO(data), formats=_COMMON_FORMATS)
    except UnidentifiedImageError:
        Image.init()
    formats = [name for name in Image.ID if name not in _REFUSED_FORMATS]
    try:
        return Image.open(io.BytesIO(data), formats=formats)
    except UnidentifiedImageError:
        if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
            raise ImageError("HEIC is not supported; convert it to JPEG first") from None
        raise ImageError("not an image, or of a format that is not supported") from None


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
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"it has no pixels: {width}x{height}")
    if width * height > MAX_PIXELS:
        raise ImageError(f"too large: {width}x{height} pixels, the limit is {MAX_PIXELS:,} in all")
    image = to_rgb(upright(image))
    resized = image.resize(
        (SIZE, SIZE), Image.Resampling.BILINEAR, box=crop_box(image.width, image.height, resize)
    )
    return np.asarray(resized)


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
    image.load()  # Pillow turns a TIFF by itself while it loads it, and drops the tag then
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except (OSError, MemoryError):
        raise
    except Exception:
        # Unreadable EXIF is a flaw of the metadata: the pixels are as good as without any.
        return image
    # Not ImageOps.exif_transpose: it writes the EXIF anew as well, and fails where another
    # tag of it is odd.
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB from any mode Pillow opens: 16 bits scaled down, transparency on white."""
    image.load()
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, or of floats in 0..1 or 0..255, as 8-bit grey.

    16 bits keep their high byte, as Pillow does with 16-bit colour. 32-bit integers are taken
    for 16 bits, or for 8 where none is larger.
    """
    pixels = np.asarray(image)
    if image.mode == "F":
        pixels = np.nan_to_num(pixels)
        grey = pixels * 255 if pixels.max() <= 1 else pixels
        return Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    pixels = pixels.clip(0, 65535)
    is_8_bits = image.mode == "I" and pixels.max() <= 255
    return Image.fromarray((pixels if is_8_bits else pixels >> 8).astype(np.uint8))
