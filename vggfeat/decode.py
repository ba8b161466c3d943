"""From the bytes of an image file to an image that Pillow opened, or the reason why not.

The bounds hold for any file: what decoding may take of memory is known from the header, large
images are decoded one at a time, and a file that was cut short is refused, never half a picture.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import re
import struct
import threading
import warnings
from collections.abc import Iterator

from PIL import Image, UnidentifiedImageError, _imaging

from vggfeat.errors import ImageError, TransientImageError, describe_os_error
from vggfeat.file_end import check_end
from vggfeat.jpeg_end import ENDS_EARLY

MAX_PIXELS = 178_956_970  # Pillow's own bound on decompression bombs: half a GB of RGB

# What an image takes at the most in bytes a pixel until it is a square, measured.
_COST = {"JPEG": 6, "MPO": 6, "PNG": 6, "GIF": 6, "WEBP": 16, "AVIF": 16, "JPEG2000": 26}
_RAW_COST, _OTHER_COST, _PROGRESSIVE_COST = 6, 8, 12
_MAX_MEMORY = _OTHER_COST * MAX_PIXELS
_LARGE = 1 << 29  # bytes of memory from which on images are decoded one at a time
_ICONS = ("CUR", "ICNS", "ICO")
_SIZES = re.compile(rb"IHDR(.{8})|\xff\x4f\xff\x51.{4}(.{8})", re.DOTALL)
_one_large_image = threading.Lock()

# A decoder that is written in Python takes a microsecond a pixel and more.
_MAX_SLOW_PIXELS = 1 << 24

# What Pillow can read without loading all of its plugins, which takes a tenth of a second.
_COMMON_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM")

# Decoders left out: EPS starts Ghostscript on the file, and these others read no pixels.
_REFUSED_FORMATS = frozenset({"EPS", "BUFR", "GRIB", "HDF5", "MPEG", "WMF"})
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

# Pillow's words for what it meets, of which there are hundreds, none meant for people.
_EARLY = re.compile(
    "truncat|incomplete|premature|EOF|not enough|not large enough|expected to read|bytes but only",
    re.IGNORECASE,
)
_UNKNOWN = re.compile("unsupported|not supported|unknown|unrecogni[sz]ed|not available|cannot hand")

# Pillow speaks up about flaws of metadata, and images beyond half of its bound.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


@contextlib.contextmanager
def reasons() -> Iterator[None]:
    """Turn what Pillow raises into an ImageError with the reason.

    Raises:
        TransientImageError: there was not enough memory.
        ImageError: anything else that is an Exception.
    """
    try:
        yield
    except ImageError:
        raise
    except MemoryError:
        raise TransientImageError("too large: not enough memory to decode it") from None
    except Exception as error:
        # A damaged file makes Pillow's parsers raise nearly anything: SyntaxError,
        # struct.error, ValueError, IndexError, zlib.error ...
        raise ImageError(_reason(error)) from error


def _reason(error: Exception) -> str:
    words = str(error)
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"too large: the limit is {MAX_PIXELS:,} pixels in all"
    if isinstance(error, OSError) and error.errno is not None:
        return f"damaged or cut short: {describe_os_error(error)}"
    if isinstance(error, IndexError | struct.error | EOFError) or _EARLY.search(words):
        return ENDS_EARLY
    if isinstance(error, NotImplementedError) or _UNKNOWN.search(words):
        return "damaged, or a kind of its format that is not supported"
    return "damaged or cut short: its data cannot be decoded"


@contextlib.contextmanager
def opened(data: bytes, least: int | None = None) -> Iterator[Image.Image]:
    """The image in a file, to be loaded while the context lasts: one large image at a time.

    Args:
        data: the whole content of the file.
        least: let the decoder shrink large JPEGs, to no less than these pixels a side.

    Raises:
        ImageError: it is no image, one that was cut short, or too large. What Pillow raises
            is for `reasons`.
    """
    with _open(data) as image:
        if least is not None:
            image.draft(None, (least, least))
        check_size(image)
        memory = _memory(image, data)
        check_end(image, data)
        with _one_large_image if memory > _LARGE else contextlib.nullcontext():
            yield image


def _open(data: bytes) -> Image.Image:
    if not data:
        raise ImageError("the file is empty")
    try:
        return Image.open(io.BytesIO(data), formats=_COMMON_FORMATS)
    except UnidentifiedImageError:
        _load_plugins()
    formats = [name for name in Image.ID if name not in _REFUSED_FORMATS]
    try:
        return Image.open(io.BytesIO(data), formats=formats)
    except UnidentifiedImageError:
        if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
            raise ImageError("HEIC is not supported; convert it to JPEG first") from None
        name = next((name for name in formats if _has_signature(name, data[:16])), None)
        if name is not None:
            raise ImageError(
                f"damaged or cut short, or a kind of {name} that is not supported"
            ) from None
        raise ImageError("not an image, or of a format that is not supported") from None


def _load_plugins() -> None:
    Image.init()
    # libtiff writes to stderr what it dislikes. Where it is linked statically, it stays audible.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


def _has_signature(name: str, start: bytes) -> bool:
    accept = Image.OPEN[name][1]
    try:
        return accept is not None and accept(start) is True
    except (IndexError, struct.error):
        return False


def check_size(image: Image.Image) -> None:
    """Raise ImageError where an image has no pixels or more than MAX_PIXELS."""
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"it has no pixels: {width}x{height}")
    if width * height > MAX_PIXELS:
        raise ImageError(f"too large: {width}x{height} pixels, the limit is {MAX_PIXELS:,} in all")


def _memory(image: Image.Image, data: bytes) -> int:
    """The bytes that decoding takes at the most. Raises ImageError where those are too many."""
    decoders = {tile[0] for tile in getattr(image, "tile", ())}
    cost = _COST.get(image.format or "", _RAW_COST if decoders == {"raw"} else _OTHER_COST)
    if image.info.get("progressive"):
        cost = _PROGRESSIVE_COST
    pixels = image.width * image.height
    if image.format in _ICONS:  # which hold whole files of other formats
        pixels, cost = max([pixels, *_sizes_inside(data)]), _COST["JPEG2000"]
    memory = pixels * cost + len(data)
    limit = (_MAX_MEMORY - len(data)) // cost
    if not decoders.isdisjoint(Image.DECODERS):
        limit = min(limit, _MAX_SLOW_PIXELS)
    if pixels > limit:
        raise ImageError(
            f"too large: {pixels:,} pixels, the limit for {image.format} of this kind"
            f" is {max(limit, 0):,} in all"
        )
    return memory


def _sizes_inside(data: bytes) -> Iterator[int]:
    """The pixels that PNG and JPEG 2000 headers anywhere in a file claim."""
    for found in _SIZES.finditer(data):
        width, height = struct.unpack(">II", found[1] or found[2])
        yield width * height
