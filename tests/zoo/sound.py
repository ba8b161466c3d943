"""Sound images of every format that can be written, and the places where each can be cut.

They are small, and noise: no part of them is like another.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, features

WIDTH, HEIGHT = 53, 37
SUFFIXES = {"JPEG2000": "jp2", "TIFF": "tif", "JPEG": "jpg", "PPM": "ppm"}


def picture(width: int = WIDTH, height: int = HEIGHT, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.copy().save(file, form, **options)  # saving leaves its settings in an image
    return file.getvalue()


def two_frames() -> dict[str, Any]:
    return {"save_all": True, "append_images": [picture(seed=1)]}


def exif(tag: int, value: Any) -> bytes:
    made = Image.Exif()
    made[tag] = value
    return made.tobytes()


# Sound images, of every format Pillow writes


def _formats() -> Iterator[tuple[str, str, Image.Image, dict[str, Any]]]:
    rgb = picture()
    rgba, grey = rgb.copy(), rgb.convert("L")
    rgba.putalpha(grey)
    bits, palette = rgb.convert("1"), rgb.quantize(16)
    strips = {"tiffinfo": {278: 8}}
    yield from (
        ("baseline", "JPEG", rgb, {}),
        ("progressive", "JPEG", rgb, {"progressive": True}),
        ("optimized", "JPEG", rgb, {"optimize": True, "subsampling": 0}),
        ("restarts", "JPEG", rgb, {"restart_marker_rows": 1}),
        ("grey", "JPEG", grey, {}),
        ("cmyk", "JPEG", rgb.convert("CMYK"), {}),
        ("turned", "JPEG", rgb, {"exif": exif(274, 6)}),
        ("two", "MPO", rgb, two_frames()),
        ("rgb", "PNG", rgb, {}),
        ("grey", "PNG", grey, {}),
        ("alpha", "PNG", rgba, {}),
        ("palette", "PNG", palette, {"transparency": bytes(range(16))}),
        ("bits", "PNG", bits, {}),
        ("deep", "PNG", grey.convert("I;16"), {}),
        ("animated", "PNG", rgb, two_frames()),
        ("one", "GIF", rgb, {}),
        ("interlaced", "GIF", rgb, {"interlace": 1}),
        ("animated", "GIF", rgb, {**two_frames(), "comment": b"two frames"}),
        ("rgb", "BMP", rgb, {}),
        ("palette", "BMP", palette, {}),
        ("rgb", "DIB", rgb, {}),
        ("raw", "TIFF", rgb, {}),
        ("pages", "TIFF", rgb, two_frames()),
        *((name, "TIFF", rgb, {"compression": f"tiff_{name}"} | more)
          for name in ("lzw", "adobe_deflate") for more in ({}, strips)),
        *((name, "TIFF", rgb, {"compression": name} | strips)
          for name in ("packbits", "jpeg", "raw", "lzma", "zstd")),
        *((name, "TIFF", bits, {"compression": name}) for name in ("group3", "group4")),
        ("lossy", "WEBP", rgb, {"exif": exif(274, 3)}),
        ("lossless", "WEBP", rgb, {"lossless": True}),
        ("alpha", "WEBP", rgba, {}),
        ("animated", "WEBP", rgb, two_frames()),
        ("rgb", "PPM", rgb, {}),
        ("bits", "PPM", bits, {}),
        ("floats", "PPM", rgb.convert("F"), {}),
        ("rgb", "JPEG2000", rgb, {}),
        ("tiles", "JPEG2000", rgb, {"tile_size": (32, 32)}),
        ("stream", "JPEG2000", rgb, {"no_jp2": True}),
        ("png", "ICO", rgba, {"sizes": [(16, 16), (32, 32)]}),
        ("bmp", "ICO", rgba, {"sizes": [(16, 16), (32, 32)], "bitmap_format": "bmp"}),
        ("rgb", "TGA", rgb, {}),
        ("rle", "TGA", rgb, {"compression": "tga_rle"}),
        ("rgb", "AVIF", rgb, {}),
        ("alpha", "AVIF", rgba, {}),
        ("rgb", "PCX", rgb, {}),
        ("palette", "PCX", palette, {}),
        ("rgb", "SGI", rgb, {}),
        ("rgb", "DDS", rgb, {}),
        ("blocks", "DDS", rgba, {"pixel_format": "DXT5"}),
        ("rgb", "QOI", rgb, {}),
    )  # fmt: skip


@cache
def sound_images() -> dict[str, bytes]:
    """Whole images by file name, without those this Pillow cannot write."""
    Image.init()
    made = {}
    for name, form, image, options in _formats():
        if form in Image.SAVE and (form != "AVIF" or features.check("avif")):
            kind = "-".join([name, *("strips" for key in options if key == "tiffinfo")])
            try:
                data = encoded(image, form, **options)
            except (OSError, KeyError):  # a compression it was built without
                continue
            made[f"{kind}.{SUFFIXES.get(form, form.lower())}"] = data
    numbers = np.asarray(picture()).ravel()
    made["plain.ppm"] = f"P3\n{WIDTH} {HEIGHT}\n255\n{' '.join(map(str, numbers))}\n".encode()
    made["deep.ppm"] = f"P6\n{WIDTH} {HEIGHT}\n65535\n".encode() + numbers.repeat(2).tobytes()
    made["interlaced.png"] = interlaced_png()
    made["tiles.tif"] = tiled_tiff()
    return made


def chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def png(
    width: int, height: int, *chunks: bytes, depth: int = 8, kind: int = 2, way: int = 0
) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, way))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def interlaced_png() -> bytes:
    pixels = np.asarray(picture())
    passes = (
        (0, 8, 0, 8),
        (0, 8, 4, 8),
        (4, 8, 0, 4),
        (0, 4, 2, 4),
        (2, 4, 0, 2),
        (0, 2, 1, 2),
        (1, 2, 0, 1),
    )
    rows = [b"\0" + row.tobytes() for y, dy, x, dx in passes for row in pixels[y::dy, x::dx]]
    return png(WIDTH, HEIGHT, chunk(b"IDAT", zlib.compress(b"".join(rows))), way=1)


def tiff(*tags: tuple[int, int, int, int], after: bytes = b"", following: int = 0) -> bytes:
    """Little-endian, its only directory first: tags of (number, type, count, value or place)."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return (
        b"II*\0\x08\0\0\0"
        + struct.pack("<H", len(tags))
        + entries
        + struct.pack("<I", following)
        + after
    )


Tag = tuple[int, int, int, int]


def grey_tiff(width: int, height: int, *tags: Tag, **more: Any) -> bytes:
    basic = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1)]
    basic += [(262, 3, 1, 1), (277, 3, 1, 1)]
    return tiff(*{tag[0]: tag for tag in (*basic, *tags)}.values(), **more)


def tiled_tiff() -> bytes:
    pixels = np.asarray(picture().convert("L"))[:32, :32]
    tiles = [pixels[y : y + 16, x : x + 16].tobytes() for y in (0, 16) for x in (0, 16)]
    start = 8 + 2 + 12 * 10 + 4
    places = struct.pack("<8I", *(start + 32 + 256 * n for n in range(4)), *[256] * 4)
    where = (324, 4, 4, start), (325, 4, 4, start + 16)
    after = places + b"".join(tiles)
    return grey_tiff(32, 32, (322, 3, 1, 16), (323, 3, 1, 16), *where, after=after)


# Where a file can be cut


def boundaries(data: bytes) -> set[int]:
    """Places in a file where a part of it begins or ends, by its format."""
    places = {1, 2, 4, 8, 12, 16, 32, 128, len(data) - 769, len(data) - 768}
    places |= {len(data) * share // 8 for share in range(1, 8)} | {len(data) - 1}
    if data[:2] == b"\xff\xd8":
        places |= {found.start() for found in re.finditer(rb"\xff[^\0\xff]", data)}
    if b"\xff\x4f\xff\x51" in data:
        places |= {found.start() for found in re.finditer(rb"\xff[\x4f-\x64\x90-\x93\xd9]", data)}
    if data[:4] in (b"\x89PNG", b"RIFF") or data[4:8] in (b"ftyp", b"jP  "):
        for found in re.finditer(rb"[A-Za-z]{3}[A-Za-z ]", data):
            places |= {found.start() - 4, found.start(), found.end(), found.end() + 4}
    if data[:4] == b"GIF8":
        places |= {6, 13} | {found.start() for found in re.finditer(rb"\0[!,;]", data)}
    with Image.open(io.BytesIO(data)) as image:
        places |= {tile[2] for tile in getattr(image, "tile", ()) if tile[2]}
        tags = getattr(image, "tag_v2", {})
        for first, size in ((273, 279), (324, 325)):
            for start, length in zip(tags.get(first, ()), tags.get(size, ()), strict=False):
                places |= {start, start + length}
    if data[:4] == b"II*\0":
        (directory,) = struct.unpack_from("<I", data, 4)
        places |= set(range(directory, min(directory + 200, len(data)), 12))
    return places


def cuts(data: bytes, most: int) -> list[int]:
    """At the boundaries, a byte before and one after, spread evenly where there are too many."""
    places = sorted({place + step for place in boundaries(data) for step in (-1, 0, 1)})
    inside = [place for place in places if 0 < place < len(data)]
    return inside[:: -(-len(inside) // most)]
