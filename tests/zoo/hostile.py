"""Images that were made to hurt: bombs, loops, absurd sizes and tags; and what is none at all."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator

from PIL import Image, ImageCms

from tests.zoo.sound import Tag, chunk, encoded, exif, grey_tiff, picture, png, sound_images, tiff

MANY = 65_535
SIZES = ((MANY, MANY), (2**31 - 1, 2**31 - 1), (0, 0), (0, 5), (5, 0), (1, 30_000), (30_000, 1))
_DOT = b",\0\0\0\0\1\0\1\0\x80\0\0\0\xff\xff\xff\2\2\x44\1\0;"  # the frame of a GIF of one pixel
OFFSET = 8 + 2 + 12 * 8 + 4  # of what follows the directory of a grey TIFF with two more tags


def _flat(width: int, height: int, depth: int = 8) -> bytes:
    """A PNG of zeros, small however large the image."""
    row = bytes(1 + width * depth // 8)
    packer, packed = zlib.compressobj(), []
    for first in range(0, height, 64):
        packed.append(packer.compress(row * min(64, height - first)))
    packed.append(packer.flush())
    return png(width, height, chunk(b"IDAT", b"".join(packed)), depth=depth, kind=0)


def flat_webp(width: int, height: int) -> bytes:
    """Some dozens of bytes, whatever the size: one colour takes no bits a pixel."""
    data = encoded(Image.new("RGB", (9, 9), "teal"), "WEBP", lossless=True)
    place = data.find(b"VP8L") + 9
    (bits,) = struct.unpack_from("<I", data, place)
    bits = bits >> 28 << 28 | height - 1 << 14 | width - 1
    return data[:place] + struct.pack("<I", bits) + data[place + 4 :]


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _with_segment(marker: int, content: bytes, times: int = 1) -> bytes:
    data = sound_images()["baseline.jpg"]
    return data[:2] + _segment(marker, content) * times + data[2:]


def _with_size(data: bytes, place: int, form: str, width: int, height: int) -> bytes:
    size = struct.pack(form, width, height)
    return data[:place] + size + data[place + len(size) :]


def no_images() -> Iterator[tuple[str, bytes]]:
    yield "empty.jpg", b""
    yield "zeros.png", bytes(5000)
    yield "ones.jpg", b"\xff" * 5000
    yield "noise.bmp", random.Random(0).randbytes(5000)
    yield "text.jpg", b"Dear diary,\ntoday I saw a cat.\n" * 50
    yield "page.jpg", b"<!doctype html><html><body>404 Not Found</body></html>"
    yield "drawing.png", b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'
    yield "paper.png", b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n"
    yield "archive.jpg", b"PK\3\4\x14\0\0\0\0\0" + bytes(50)
    yield "program.png", b"\x7fELF\2\1\1" + bytes(200)
    yield "film.jpg", b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(100)
    yield "phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    yield (
        "script.png",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
    )
    yield "metafile.png", b"\xd7\xcd\xc6\x9a\0\0" + bytes(80)
    yield "numbers.tif", b"\x89HDF\r\n\x1a\n" + bytes(100)
    yield "line.ppm", b"P6\n# " + b"x" * 100_000
    yield "digits.ppm", b"P3\n" + b"9" * 100_000
    for name, wrong in (("rgb.png", "jpg"), ("baseline.jpg", "png"), ("one.gif", "webp"),
                        ("raw.tif", "gif"), ("rgb.bmp", "jpg"), ("lossy.webp", "tif")):  # fmt: skip
        yield f"{name}.{wrong}", sound_images()[name]


def sizes() -> Iterator[tuple[str, bytes]]:
    """Sizes that are claimed, with the pixels of another image or none."""
    for width, height in SIZES:
        size = f"{width}x{height}"
        yield f"{size}.png", png(width, height, chunk(b"IDAT", zlib.compress(bytes(99))))
        yield f"{size}.ppm", f"P6 {width} {height} 255\n".encode() + bytes(99)
        yield f"{size}.pbm", f"P1 {width} {height}\n".encode() + b"0 1 " * 99
        yield f"{size}.bmp", _with_size(sound_images()["rgb.bmp"], 18, "<ii", width, height)
        yield f"{size}.tif", grey_tiff(width, height, (273, 4, 1, 8), (279, 4, 1, 99))
        yield f"{size}.jp2", _with_size(sound_images()["rgb.jp2"], 48, ">II", height, width)
        yield f"{size}.dds", _with_size(sound_images()["rgb.dds"], 12, "<II", height, width)
        if max(width, height) <= MANY:
            frame = sound_images()["baseline.jpg"].find(b"\xff\xc0") + 5
            yield (
                f"{size}.jpg",
                _with_size(sound_images()["baseline.jpg"], frame, ">HH", height, width),
            )
            yield f"{size}.gif", _with_size(sound_images()["one.gif"], 6, "<HH", width, height)
            inner = sound_images()["one.gif"].find(b",\0\0\0\0") + 5
            yield (
                f"frame-{size}.gif",
                _with_size(sound_images()["one.gif"], inner, "<HH", width, height),
            )
            yield f"{size}.tga", _with_size(sound_images()["rle.tga"], 12, "<HH", width, height)
            yield f"{size}.sgi", _with_size(sound_images()["rgb.sgi"], 6, ">HH", width, height)
            yield (
                f"{size}.pcx",
                _with_size(
                    sound_images()["rgb.pcx"], 8, "<HH", width - 1 & 0xFFFF, height - 1 & 0xFFFF
                ),
            )
    for width, height in ((1, 30_000), (30_000, 1), (65_500, 3), (1, 1)):
        for form in ("PNG", "JPEG", "TIFF", "BMP"):
            image = Image.new("RGB", (width, height), "teal")
            yield f"whole-{width}x{height}.{form.lower()}", encoded(image, form)


def bombs() -> Iterator[tuple[str, bytes]]:
    yield "just-within.png", _flat(13_376, 13_376, depth=1)
    yield "just-beyond.png", _flat(13_378, 13_377, depth=1)
    yield "large.png", _flat(8_000, 8_000)
    yield "large.webp", flat_webp(9_400, 9_400)
    yield "largest.webp", flat_webp(16_384, 16_384)
    canvas = b"VP8X\x0a\0\0\0\x02\0\0\0" + b"\xfe\x3f\0" * 2
    yield "canvas.webp", b"RIFF" + struct.pack("<I", 4 + len(canvas)) + b"WEBP" + canvas
    zeros = zlib.compress(bytes(100_000_000), 9)
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + bytes(27)) * 9))
    yield "text-bomb.png", png(9, 9, chunk(b"zTXt", b"a\0\0" + zeros), pixels)
    yield "profile-bomb.png", png(9, 9, chunk(b"iCCP", b"a\0\0" + zeros), pixels)
    yield "pixels-bomb.png", png(9, 9, chunk(b"IDAT", zeros))
    yield "many-chunks.png", png(9, 9, chunk(b"tEXt", b"a\0b") * 200_000, pixels)
    yield "many-parts.png", png(9, 9, chunk(b"IDAT", b"") * 200_000, pixels)
    yield "chunks-behind.png", png(9, 9, pixels, chunk(b"abCd", b"") * 200_000)
    icon = _flat(9_000, 9_000, depth=1)
    yield "bomb.ico", struct.pack("<HHHBBBBHHII", 0, 1, 1, 32, 32, 0, 0, 1, 1, len(icon), 22) + icon
    icon = _flat(13_378, 13_377, depth=1)
    yield (
        "bomb.icns",
        struct.pack(">4sI4sI", b"icns", 16 + len(icon), b"ic07", 8 + len(icon)) + icon,
    )
    frames = [picture(9, 9, seed) for seed in range(400)]
    yield "frames.gif", encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    yield (
        "comments.gif",
        b"GIF89a\1\0\1\0\0\0\0!\xfe" + (b"\xff" + b"x" * 255) * 4000 + b"\0" + _DOT,
    )
    deflated = zlib.compress(bytes(1000))
    for name, width, more in (
        ("strip", MANY, [(278, 4, 1, MANY)]),
        ("rows", 100, [(278, 4, 1, 2**32 - 1)]),
        ("tile", 100, [(322, 4, 1, 65_520), (323, 4, 1, 65_520)]),
    ):
        tiles = name == "tile"
        tags: list[Tag] = [(324 if tiles else 273, 4, 1, 8), (325 if tiles else 279, 4, 1, 900)]
        made = grey_tiff(width, width, (259, 3, 1, 8), *tags, *more, after=deflated)
        yield f"{name}-bomb.tif", made


def tiffs() -> Iterator[tuple[str, bytes]]:
    strips = (273, 4, 1, OFFSET), (279, 4, 1, 64)
    pixels = bytes(range(64))
    yield "loop.tif", grey_tiff(8, 8, *strips, after=pixels, following=8)
    yield "next-beyond.tif", grey_tiff(8, 8, *strips, after=pixels, following=2**32 - 1)
    yield "first-beyond.tif", b"II*\0" + struct.pack("<I", 2**32 - 1) + bytes(100)
    yield "first-in-header.tif", b"II*\0\0\0\0\0" + bytes(100)
    yield "many-tags.tif", b"II*\0\x08\0\0\0\xff\xff" + bytes(100)
    yield "no-tags.tif", tiff()
    yield "big-loop.tif", b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 0) + struct.pack("<Q", 16)
    directory = struct.pack("<H", 1) + struct.pack("<HHII", 254, 4, 1, 0)
    chain = b"".join(directory + struct.pack("<I", 8 + 18 * (n + 1)) for n in range(100_000))
    yield "many-directories.tif", b"II*\0\x08\0\0\0" + chain
    for number in (330, 34665, 34853, 40965):
        yield (
            f"inside-itself-{number}.tif",
            grey_tiff(8, 8, (number, 4, 1, 8), *strips, after=pixels),
        )
    for number in (258, 273, 279, 282, 320, 347, 700, 33723, 34377, 34675):
        for count in (0, 2**20, 2**32 - 1):
            for kind in (2, 5):
                tag = (number, kind, count, 8)
                yield (
                    f"tag-{number}-{kind}-{count}.tif",
                    grey_tiff(8, 8, *strips, tag, after=pixels),
                )
    odd = {
        258: (0, 3, 64),
        259: (0, 6, 34892, MANY),
        262: (2, 3, 6, MANY),
        274: (0, 99),
        277: (0, MANY),
        278: (0,),
        284: (2, 9),
        317: (2, 3),
        339: (9,),
    }
    for number, value in ((number, value) for number, values in odd.items() for value in values):
        yield (
            f"value-{number}-{value}.tif",
            grey_tiff(8, 8, *strips, (number, 3, 1, value), after=pixels),
        )


def jpegs() -> Iterator[tuple[str, bytes]]:
    data = sound_images()["baseline.jpg"]
    frame, tables, scan = (data.find(bytes([0xFF, m])) for m in (0xC0, 0xC4, 0xDA))
    yield "start.jpg", b"\xff\xd8"
    yield "start-end.jpg", b"\xff\xd8\xff\xd9"
    yield "start-start.jpg", b"\xff\xd8" + data
    yield "no-frame.jpg", data[:frame] + data[tables:]
    yield "no-tables.jpg", data[:tables] + data[scan:]
    yield "no-scan.jpg", data[:scan] + b"\xff\xd9"
    yield "scan-first.jpg", data[:2] + data[scan:]
    yield "rubbish-behind.jpg", data + bytes(5000)
    yield "rubbish-before.jpg", bytes(10) + data
    yield "twice.jpg", data * 2
    yield "no-end.jpg", data[:-2]
    yield "zeros-behind-half.jpg", data[: len(data) // 2] + bytes(len(data) // 2)
    yield "filled.jpg", data[:2] + b"\xff" * 1_000_000 + data[2:]
    yield "many-notes.jpg", _with_segment(0xFE, b"x", 50_000)
    yield "large-notes.jpg", _with_segment(0xFE, bytes(65_533), 50)
    yield "restarts-promised.jpg", _with_segment(0xDD, b"\0\1")
    for coding in (0xC1, 0xC3, 0xC5, 0xC9, 0xCA, 0xCB):
        yield f"coding-{coding:x}.jpg", data[: frame + 1] + bytes([coding]) + data[frame + 2 :]
    progressive = encoded(Image.new("L", (1000, 1000)), "JPEG", progressive=True)
    last = progressive.rfind(b"\xff\xda")
    yield "many-scans.jpg", progressive[:-2] + progressive[last:-2] * 100 + b"\xff\xd9"
    for name, content in (
        ("empty", b""), ("short", b"II"), ("rubbish", b"rubbish" * 99),
        ("beyond", b"II*\0\xff\xff\xff\xff"),
        ("loop", b"II*\0\x08\0\0\0\0\0\x08\0\0\0"),
        ("many", b"II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHII", 274, 3, 1, 6) * 5000),
        ("long", b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 274, 3, 2**32 - 1, 8)),
        ("inside-itself", b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 34665, 4, 1, 8) + bytes(4)),
        ("fraction", b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 274, 5, 1, 8) + bytes(4)),
    ):  # fmt: skip
        yield f"exif-{name}.jpg", _with_segment(0xE1, b"Exif\0\0" + content)
    for orientation in (0, 9, MANY):
        yield f"turned-{orientation}.jpg", encoded(picture(), "JPEG", exif=exif(274, orientation))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, icc in (("sound", profile), ("cut", profile[:50]), ("rubbish", b"rubbish" * 9999)):
        yield f"profile-{name}.jpg", encoded(picture(), "JPEG", icc_profile=icc)
        yield f"profile-{name}.png", encoded(picture(), "PNG", icc_profile=icc)
    yield "profile-parts.jpg", _with_segment(0xE2, b"ICC_PROFILE\0\xff\x01" + profile)
    cmyk = sound_images()["cmyk.jpg"]
    place = cmyk.find(b"Adobe") + 11
    yield "ycck.jpg", cmyk[:place] + b"\2" + cmyk[place + 1 :]
    yield "mpf.jpg", _with_segment(0xE2, b"MPF\0II*\0\xff\xff\xff\xff")


def others() -> Iterator[tuple[str, bytes]]:
    rows = zlib.compress((b"\0" + bytes(27)) * 9)
    yield "few-rows.png", png(9, 9, chunk(b"IDAT", zlib.compress((b"\0" + bytes(27)) * 4)))
    yield "many-rows.png", png(9, 9, chunk(b"IDAT", zlib.compress((b"\0" + bytes(27)) * 99)))
    yield "no-rows.png", png(9, 9)
    yield "wrong-sum.png", png(9, 9, chunk(b"IDAT", rows)[:-1] + b"?")
    yield "no-palette.png", png(9, 9, chunk(b"IDAT", zlib.compress(bytes(99))), kind=3)
    for depth, kind in ((3, 0), (0, 2), (64, 2), (8, 1), (8, 5), (1, 2)):
        yield f"depth-{depth}-{kind}.png", png(9, 9, chunk(b"IDAT", rows), depth=depth, kind=kind)
    yield "backwards.png", png(9, 9, chunk(b"IDAT", rows))[:8] + chunk(b"IEND", b"") * 2
    gif = sound_images()["one.gif"]
    for size in (0, 1, 12, 13, 255):
        place = gif.find(b",\0\0\0\0") + 10
        yield f"code-{size}.gif", gif[:place] + bytes([size]) + gif[place + 1 :]
    screen = b"GIF89a\x09\0\x09\0\x80\0\0\0\0\0\xff\xff\xff"
    frame = b",\0\0\0\0\x09\0\x09\0\0\x02"
    yield "ends-at-once.gif", screen + frame + b"\x01\x2c\0;"
    yield "ends-early.gif", screen + frame + b"\x03\x84\x8f\x05\0;"
    yield "no-frame.gif", screen + b";"
    yield "outside.gif", screen + b",\xff\xff\xff\xff" + frame[5:] + b"\x02\x4c\x01\0;"
    bmp = sound_images()["palette.bmp"]
    words = {10: (2**32 - 1,), 14: (16, 2**32 - 1), 28: (0, 7), 30: (1, 2, 3, 99), 46: (2**32 - 1,)}
    for place, value in ((place, value) for place, values in words.items() for value in values):
        yield f"word-{place}-{value}.bmp", bmp[:place] + struct.pack("<I", value) + bmp[place + 4 :]
    yield "runs-end-early.bmp", bmp[:30] + b"\1" + bmp[31:1078] + b"\x05\1\0\1"
    for value in (0, 65_536, 2**40, -1):
        yield f"white-{value}.ppm", f"P6 9 9 {value}\n".encode() + bytes(600)
    yield "many-icons.ico", b"\0\0\1\0\xff\xff" + bytes(16) * 100
    yield "no-icons.ico", b"\0\0\1\0\0\0"
    jp2 = sound_images()["rgb.jp2"]
    yield "box-of-none.jp2", jp2[:12] + bytes(100)
    size = jp2.find(b"\xff\x51")
    for name, place, value in (
        ("tiles", 22, 1),
        ("none", 22, 0),
        ("far", 6, 2**31),
        ("huge", 22, 2**32 - 1),
    ):
        number = struct.pack(">II", value, value)
        yield f"{name}.jp2", jp2[: size + place] + number + jp2[size + place + 8 :]
    yield "parts.jp2", jp2[: size + 38] + struct.pack(">H", 16_384) + jp2[size + 40 :]
    for name, data in sound_images().items():
        if name.startswith("rgb."):
            yield f"emptied-{name}", data[:64] + bytes(len(data) - 64)
            yield f"reversed-{name}", data[:16] + data[:15:-1]


def hostile_images() -> dict[str, bytes]:
    kinds = (no_images, sizes, bombs, tiffs, jpegs, others)
    return {f"{kind.__name__}-{name}": data for kind in kinds for name, data in kind()}
