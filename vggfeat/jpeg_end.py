"""Whether a JPEG's data reaches to its end.

libjpeg paints grey what is missing before the marker of the end, and Pillow passes that on
without a word. What tells is how much the decoder takes: bytes that follow the last pixel it
skips as rubbish, bytes in place of missing pixels it keeps until there are enough of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from PIL import Image, ImageFile, _imaging

from vggfeat.errors import ImageError

ENDS_EARLY = "damaged or cut short: its data ends too early"

_CODEC = "vggfeat_jpeg"

# The decoder looks eight bytes ahead. Of what follows it takes a byte at once only as rubbish.
_AHEAD, _PROBES = b"\xfe" * 8, [b"\xfe"] * 8

_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_END, _SCAN, _RESTARTS = 0xD9, 0xDA, 0xDD
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
_OTHER_FRAMES = frozenset(range(0xC3, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass
class _Layout:
    """What the markers tell."""

    end: int = 0
    other_coding: bool = False
    components: int = 0
    progressive: bool = False
    restarts: bool = False
    # Component and frequency of what has come to its last bit.
    exact: set[tuple[int, int]] = field(default_factory=set)


def check_while_loading(image: Image.Image, data: bytes) -> None:
    """Make the image's `load` raise ImageError where the JPEG's data ends too early.

    Arithmetic and lossless coding are left to Pillow.

    Args:
        image: what Pillow opened, with one tile to decode.
        data: the file.

    Raises:
        ImageError: scans are missing, or the end is.
    """
    layout = _layout(data)
    if layout.other_coding or not isinstance(image, ImageFile.ImageFile):
        return
    if not layout.end or len(layout.exact) < 64 * layout.components:
        raise ImageError(ENDS_EARLY)
    probes = [_AHEAD, *_PROBES]
    if layout.restarts:
        probes += [_next_restart(data, layout.end) + _AHEAD, *_PROBES]
    ((_, extents, offset, how),) = image.tile
    how = how if isinstance(how, tuple) else (how,)
    image.tile = [ImageFile._Tile(_CODEC, extents, offset, (layout.end, probes, *how))]


def _layout(data: bytes) -> _Layout:
    layout, place = _Layout(), 2
    while found := _MARKER.search(data, place):
        marker, place = data[found.start() + 1], found.end()
        if marker == _END:
            layout.end = len(data[: found.start()].rstrip(b"\xff"))
            break
        length = int.from_bytes(data[place : place + 2], "big")
        content = data[place + 2 : place + length]
        place += length
        if marker in _SEQUENTIAL or marker == _PROGRESSIVE:
            layout.components, layout.progressive = content[5], marker == _PROGRESSIVE
        elif marker in _OTHER_FRAMES:
            layout.other_coding = True
        elif marker == _RESTARTS:
            layout.restarts = any(content)
        elif marker == _SCAN:
            _add_scan(layout, content)
    return layout


def _add_scan(layout: _Layout, header: bytes) -> None:
    count = header[0]
    first, last, bits = header[1 + 2 * count : 4 + 2 * count]
    if not layout.progressive:
        first, last, bits = 0, 63, 0
    if bits & 0xF == 0:
        components = header[1 : 1 + 2 * count : 2]
        layout.exact |= {(c, k) for c in components for k in range(first, last + 1)}


def _next_restart(data: bytes, end: int) -> bytes:
    """The marker that would come next: they count from 0 to 7, over and over."""
    places = [data.rfind(bytes([0xFF, 0xD0 + number]), 0, end) for number in range(8)]
    number = (places.index(max(places)) + 1) % 8 if max(places) >= 0 else 0
    return bytes([0xFF, 0xD0 + number])


class _Decoder(ImageFile.PyDecoder):
    """Pillow's decoder, which gets rubbish to eat before the marker of the end."""

    def init(self, args: tuple[Any, ...]) -> None:
        self._end, self._probes, *rest = args
        self._decoder: Any = _imaging.jpeg_decoder(self.mode, *rest)
        self._taken = 0

    def setimage(self, im: Any, extents: tuple[int, int, int, int] | None = None) -> None:
        self._decoder.setimage(im, extents)

    def cleanup(self) -> None:
        self._decoder.cleanup()

    def decode(self, buffer: Any) -> tuple[int, int]:
        ahead = self._end - self._taken
        if len(buffer) <= ahead:
            return self._decode(buffer)
        left = buffer[:ahead]
        for probe in self._probes:
            left += probe
            taken, error = self._decode(left)
            if taken < 0:
                return taken, error
            left = left[taken:]
            if left:
                raise ImageError(ENDS_EARLY)
        return self._decode(b"\xff\xd9")

    def _decode(self, buffer: bytes) -> tuple[int, int]:
        taken, error = self._decoder.decode(buffer)
        self._taken += taken
        return taken, error


Image.register_decoder(_CODEC, _Decoder)
