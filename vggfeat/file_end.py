"""Whether an image file reaches to its end, in the formats for which Pillow does not tell."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

from PIL import Image, JpegImagePlugin
from PIL.ImageFile import ImageFile

from vggfeat import jpeg_end
from vggfeat.errors import ImageError
from vggfeat.jpeg_end import ENDS_EARLY


def check_end(image: Image.Image, data: bytes) -> None:
    """Refuse an image that was cut short, where Pillow would invent the rest.

    Args:
        image: what Pillow opened, not loaded.
        data: the file.

    Raises:
        ImageError: now, or as the image is loaded.
    """
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        jpeg_end.check_while_loading(image, data)
    check = _HAS_END.get(image.format or "")
    if check is not None and not check(image, data):
        raise ImageError(ENDS_EARLY)


def _has_jpeg_2000_end(_: Image.Image, data: bytes) -> bool:
    """Whether its tile parts follow one another up to the marker of the end."""
    place = data.find(b"\xff\x4f\xff\x51") + 2
    while data[place : place + 1] == b"\xff" and data[place + 1 : place + 2] != b"\x90":
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    while data[place : place + 2] == b"\xff\x90":
        length = int.from_bytes(data[place + 6 : place + 10], "big")
        if not length:  # the last part, up to the end
            return data.find(b"\xff\xd9", place) > 0
        place += max(length, 12)
    return data[place : place + 2] == b"\xff\xd9"


def _has_pcx_palette(_: Image.Image, data: bytes) -> bool:
    """Whether the palette stands behind the pixels, where there must be one."""
    eight_bits = (data[1], data[3], data[65]) == (5, 8, 1)
    grey = data[68:70] == b"\2\0"
    if not eight_bits or grey:
        return True
    with Image.open(io.BytesIO(data[:-769]), formats=["PCX"]) as pixels:
        pixels.load()
    return data[-769:-768] == b"\x0c"


def _has_dds_pixels(image: Image.Image, data: bytes) -> bool:
    """Whether all pixels are there, where each has its own bits."""
    (bits,) = struct.unpack_from("<I", data, 88)
    header = 128
    plain = image.tile[0][0] in ("raw", "dds_rgb") if isinstance(image, ImageFile) else False
    return not plain or len(data) >= header + image.width * image.height * bits // 8


_HAS_END: dict[str, Callable[[Image.Image, bytes], bool]] = {
    "DDS": _has_dds_pixels,
    "JPEG2000": _has_jpeg_2000_end,
    "PCX": _has_pcx_palette,
}
