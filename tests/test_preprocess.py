"""Preprocessing against a slow, plain reference in float64, and file by file what is refused."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import EpsImagePlugin, Image

from vggfeat.errors import ImageError, UsageError
from vggfeat.preprocess import Preprocessing, preprocess, preprocessing

SAMPLES = Path(__file__).parent.parent / "sample_images"

ORIENTATION = 274
# How each EXIF orientation turns the stored pixels upright.
UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: stored[::-1].swapaxes(0, 1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: stored[:, ::-1].swapaxes(0, 1),
}


# The reference


def triangle_weights(source: int, target: int, first: int, size: int) -> NDArray[np.float64]:
    """Rows `first` to `first + size` of the matrix that resizes a line of pixels.

    A triangle as wide as two target pixels (or two source pixels where those are wider) stands
    over the middle of each target pixel.
    """
    scale = source / target
    middles = (np.arange(first, first + size) + 0.5) * scale
    distances = np.abs(np.arange(source) + 0.5 - middles[:, None]) / max(scale, 1.0)
    weights = np.maximum(1 - distances, 0)
    return weights / weights.sum(axis=1, keepdims=True)


def resized_and_cropped(
    rgb: NDArray[Any], resize: int = 256, size: int = 224
) -> NDArray[np.float64]:
    """What the network is to see, in whole grey levels."""
    height, width = rgb.shape[:2]
    smaller = min(height, width)
    new_height, new_width = height * resize // smaller, width * resize // smaller
    rows = triangle_weights(height, new_height, (new_height - size) // 2, size)
    columns = triangle_weights(width, new_width, (new_width - size) // 2, size)
    return np.rint(columns @ np.tensordot(rows, rgb, axes=1))


def on_white(rgb: NDArray[Any], alpha: NDArray[Any]) -> NDArray[np.float64]:
    share = alpha[..., None] / 255
    return rgb * share + 255 * (1 - share)


def decoded(image: Image.Image) -> NDArray[np.float64]:
    """RGB as floats, each mode by its own arithmetic."""
    pixels = np.asarray(image).astype(np.float64)
    if image.mode == "RGB":
        return pixels
    if image.mode == "RGBA":
        return on_white(pixels[..., :3], pixels[..., 3])
    if image.mode == "CMYK":
        return (255 - pixels[..., :3]) * (255 - pixels[..., 3:]) / 255
    if image.mode == "P":
        palette = np.array(image.getpalette("RGB"), np.float64).reshape(-1, 3)
        alpha = np.full(len(palette), 255.0)
        transparency = image.info.get("transparency", b"")
        alpha[: len(transparency)] = list(transparency)
        indices = np.asarray(image)
        return on_white(palette[indices], alpha[indices])
    grey = pixels // 256 if image.mode == "I;16" else pixels
    return np.repeat(grey[..., None], 3, axis=2)


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def noise(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def png(pixels: NDArray[np.uint8], **options: Any) -> bytes:
    return encoded(Image.fromarray(pixels), "PNG", **options)


@pytest.mark.parametrize(
    "path",
    sorted(path for path in SAMPLES.rglob("*") if path.suffix in {".jpg", ".png", ".gif", ".webp"}),
    ids=lambda path: path.name,
)
def test_sample_images_come_out_as_from_the_plain_reference(path: Path) -> None:
    with Image.open(path) as image:
        orientation = image.getexif().get(ORIENTATION, 1)
        expected = resized_and_cropped(UPRIGHT[orientation](decoded(image)))

    difference = np.abs(preprocess(path.read_bytes()) - expected)

    # Rounding on the way (after compositing, after one direction) moves some by a level.
    assert difference.max() <= 1
    assert difference.mean() < 0.25


@given(
    width=st.integers(1, 600),
    height=st.integers(1, 600),
    margin=st.integers(0, 180),
    size=st.just(224) | st.integers(32, 400),
    seed=st.integers(0, 9),
    many=st.sampled_from([0, 1 << 25]),
)
@settings(max_examples=50, deadline=None)
def test_any_size_comes_out_as_from_the_plain_reference(
    width: int, height: int, margin: int, size: int, seed: int, many: int
) -> None:
    """Of the image, of the crop, and in bands too."""
    pixels = noise(width, height, seed)
    resize = size + margin

    with mock.patch("vggfeat.preprocess._MANY_PIXELS", many):
        found = preprocess(png(pixels), resize, size=size)

    assert found.shape == (size, size, 3)
    assert np.abs(found - resized_and_cropped(pixels, resize, size)).max() <= 1


@pytest.mark.parametrize(("width", "height"), [(257, 514), (999, 333), (500, 375), (375, 501)])
def test_the_longer_side_is_truncated_to_whole_pixels(width: int, height: int) -> None:
    pixels = noise(width, height)

    assert np.abs(preprocess(png(pixels)) - resized_and_cropped(pixels)).max() <= 1


# Resizing and cropping


@given(resize=st.integers(224, 400), longer=st.integers(0, 200), tall=st.booleans())
@settings(max_examples=30, deadline=None)
def test_an_image_whose_smaller_side_fits_already_is_only_cropped(
    resize: int, longer: int, tall: bool
) -> None:
    width, height = (resize, resize + longer) if tall else (resize + longer, resize)
    pixels = noise(width, height)
    left, top = (width - 224) // 2, (height - 224) // 2

    assert np.array_equal(
        preprocess(png(pixels), resize), pixels[top : top + 224, left : left + 224]
    )


def test_224_pixels_without_margin_are_returned_pixel_for_pixel() -> None:
    pixels = noise(224, 224)

    assert np.array_equal(preprocess(png(pixels), 224), pixels)


def test_the_margin_is_256_pixels_unless_told() -> None:
    data = png(noise(300, 400))

    assert np.array_equal(preprocess(data), preprocess(data, 256))
    assert not np.array_equal(preprocess(data), preprocess(data, 224))


@pytest.mark.parametrize(("size", "margin"), [(224, 256), (448, 512), (32, 36), (225, 257)])
def test_the_margin_goes_with_the_size_unless_told(size: int, margin: int) -> None:
    assert preprocessing(size=size) == Preprocessing(margin, size=size)
    assert preprocessing(size + 1, size=size) == Preprocessing(size + 1, size=size)


@pytest.mark.parametrize(
    ("resize", "size", "reason"),
    [(256, 31, "size 31: the least is 32"), (256, 257, "resize to 256: the crop takes 257")],
)
def test_sizes_that_cannot_be_are_refused(resize: int, size: int, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        preprocessing(resize, size=size)


def test_channels_are_red_green_blue() -> None:
    data = encoded(Image.new("RGB", (50, 50), (250, 100, 10)), "PNG")

    assert preprocess(data)[100, 100].tolist() == [250, 100, 10]


# Colours


def ycbcr_to_rgb(luma: int, blue: int, red: int) -> list[float]:
    blue, red = blue - 128, red - 128
    rgb = [luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue]
    return [min(max(value, 0), 255) for value in rgb]


def lightness_to_grey(value: int) -> float:
    lightness = value * 100 / 255
    linear = ((lightness + 16) / 116) ** 3 if lightness > 8 else lightness * 27 / 24389
    return 255 * (linear * 12.92 if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055)


def solid(mode: str, a: int, b: int, c: int, d: int) -> tuple[Image.Image, list[float]]:
    """A pixel of the mode, made of four bytes, and the RGB it means."""
    wide = 256 * a + b
    colours: dict[str, tuple[Any, list[float]]] = {
        "1": (a & 1, [255 * (a & 1)] * 3),
        "L": (a, [a] * 3),
        "LA": ((a, b), [a * b / 255 + 255 - b] * 3),
        "P": (1, [a, b, c]),
        "RGB": ((a, b, c), [a, b, c]),
        "RGBA": ((a, b, c, d), [v * d / 255 + 255 - d for v in (a, b, c)]),
        "CMYK": ((a, b, c, d), [(255 - v) * (255 - d) / 255 for v in (a, b, c)]),
        "YCbCr": ((a, b, c), ycbcr_to_rgb(a, b, c)),
        "LAB": ((a, 128, 128), [lightness_to_grey(a)] * 3),
        "I;16": (wide, [a] * 3),
        "I": (wide, [a or b] * 3),
        "F": (a, [a if a > 1 else 255 * a] * 3),
    }
    pixel, rgb = colours[mode]
    image = Image.new(mode, (1, 1), pixel)
    if mode == "P":
        image.putpalette([9, 9, 9, a, b, c])
    return image, rgb


def can_be_loaded(data: bytes) -> bool:
    try:
        Image.open(io.BytesIO(data)).load()
    except OSError:
        return False
    return True


FORMS = {
    "1": "PNG TIFF BMP",
    "L": "PNG TIFF BMP",
    "LA": "PNG TIFF",
    "P": "PNG TIFF BMP GIF",
    "RGB": "PNG TIFF BMP PPM",
    "RGBA": "PNG TIFF",
    "CMYK": "TIFF",
    "YCbCr": "TIFF",
    "LAB": "TIFF",
    "I;16": "PNG TIFF",
    "I": "TIFF",
    "F": "TIFF",
}
BYTE = st.integers(0, 255)


@pytest.mark.parametrize(
    ("mode", "form"), [(mode, form) for mode, forms in FORMS.items() for form in forms.split()]
)
@given(colour=st.tuples(BYTE, BYTE, BYTE, BYTE), size=st.tuples(*[st.integers(1, 600)] * 2))
@settings(max_examples=12, deadline=None)
def test_a_plain_colour_of_any_mode_and_size_stays_that_colour(
    mode: str, form: str, colour: tuple[int, int, int, int], size: tuple[int, int]
) -> None:
    pixel, expected = solid(mode, *colour)
    data = encoded(pixel.resize(size, Image.Resampling.NEAREST), form)
    if mode == "YCbCr" and not can_be_loaded(data):
        pytest.skip("before version 13, Pillow writes YCbCr TIFFs cut short")

    result = preprocess(data)

    assert result.shape == (224, 224, 3)
    assert result.dtype == np.uint8
    assert np.abs(result - np.array(expected)).max() <= (2 if mode == "LAB" else 1)


@pytest.mark.parametrize("value", [0.0, 0.25, 0.5, 1.0])
def test_floats_up_to_one_are_shares_of_white(value: float) -> None:
    result = preprocess(encoded(Image.new("F", (9, 9), value), "TIFF"))

    assert np.abs(result - value * 255).max() <= 1


@pytest.mark.parametrize(
    ("value", "expected"), [(float("nan"), 0), (-5.0, 0), (1e30, 255), (float("inf"), 255)]
)
def test_floats_beyond_the_range_are_cut_to_it(value: float, expected: int) -> None:
    pixels = np.full((9, 9), 100, np.float32)
    pixels[:] = value

    assert (preprocess(encoded(Image.fromarray(pixels), "TIFF")) == expected).all()


def test_a_float_that_is_no_number_leaves_the_others_as_they_are() -> None:
    pixels = np.full((90, 90), 0.5, np.float32)
    pixels[0, 0] = np.nan

    result = preprocess(encoded(Image.fromarray(pixels), "TIFF"))

    assert np.abs(result - 127.5).max() <= 1


@pytest.mark.parametrize(
    ("mode", "colour", "transparency"),
    [
        ("L", 40, 40),
        ("I;16", 4000, 4000),
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("P", 0, 0),
        ("1", 0, 0),
    ],
)
def test_the_one_transparent_colour_of_a_png_becomes_white(
    mode: str, colour: Any, transparency: Any
) -> None:
    data = encoded(Image.new(mode, (9, 9), colour), "PNG", transparency=transparency)

    assert (preprocess(data) == 255).all()


# Orientation


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_each_exif_orientation_gives_the_upright_image(orientation: int, form: str) -> None:
    stored = noise(40, 30)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation

    result = preprocess(encoded(Image.fromarray(stored), form, exif=exif))

    assert np.array_equal(
        result, preprocess(png(np.ascontiguousarray(UPRIGHT[orientation](stored))))
    )


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F"])
def test_images_of_every_mode_are_turned_upright(mode: str) -> None:
    dark, bright = (solid(mode, value, *[value] * 3)[0] for value in (2, 255))
    stored = bright.resize((2, 1), Image.Resampling.NEAREST)
    if mode == "P":
        stored.putpalette([250, 250, 250, 9, 9, 9])
        dark = Image.new("P", (1, 1), 0)
    stored.paste(dark, (0, 0))
    upright = stored.transpose(Image.Transpose.ROTATE_270)
    exif = Image.Exif()
    exif[ORIENTATION] = 6

    result = preprocess(encoded(stored, "TIFF", exif=exif))

    assert np.array_equal(result, preprocess(encoded(upright, "TIFF")))
    assert not np.array_equal(result, preprocess(encoded(stored, "TIFF")))


def with_exif(exif: bytes) -> bytes:
    """A JPEG that is not the same when turned."""
    return encoded(Image.fromarray(noise(4, 3)).resize((400, 300)), "JPEG", exif=exif)


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0garbage",
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
    ],
    ids=["no TIFF header", "empty", "offset past the end", "cut after the count"],
)
@pytest.mark.filterwarnings("ignore")
def test_exif_that_cannot_be_read_changes_nothing(exif: bytes) -> None:
    assert np.array_equal(preprocess(with_exif(exif)), preprocess(with_exif(b"")))


def test_an_orientation_that_does_not_exist_changes_nothing() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 9

    assert np.array_equal(preprocess(with_exif(exif.tobytes())), preprocess(with_exif(b"")))


@pytest.mark.filterwarnings("ignore")
def test_the_orientation_counts_although_another_tag_is_broken() -> None:
    def one_tag(tag: int, value: int) -> bytes:
        return struct.pack("<HHII", tag, 3, 1, value)

    # The resolution as text, where a fraction belongs: no EXIF writer could repeat it.
    broken = struct.pack("<HHI4s", 282, 2, 4, b"300")
    start, end = b"Exif\0\0II*\0\x08\0\0\0", bytes(4)
    sound = start + b"\1\0" + one_tag(ORIENTATION, 6) + end
    flawed = start + b"\2\0" + one_tag(ORIENTATION, 6) + broken + end

    assert not np.array_equal(preprocess(with_exif(sound)), preprocess(with_exif(b"")))
    assert np.array_equal(preprocess(with_exif(flawed)), preprocess(with_exif(sound)))


# Animations


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_an_animation_gives_its_first_frame(form: str) -> None:
    red, green, blue = (Image.new("RGB", (60, 40), name) for name in ("red", "lime", "blue"))
    options = {"lossless": True} if form == "WEBP" else {}

    data = encoded(red, form, save_all=True, append_images=[green, blue], **options)

    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 3  # type: ignore[attr-defined]
    assert (preprocess(data) == [255, 0, 0]).all()


# Arrays and PIL images


def test_an_array_of_the_size_of_the_network_is_taken_as_it_is() -> None:
    for size in (224, 97):
        pixels = noise(size, size)
        assert np.array_equal(preprocess(pixels, 300, size=size), pixels)


@pytest.mark.parametrize("shape", [(90, 130), (90, 130, 1), (90, 130, 3), (90, 130, 4), (224, 224)])
def test_an_array_of_another_size_is_treated_like_a_file(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    file = png(pixels[..., 0] if shape[2:] == (1,) else pixels)

    assert np.array_equal(preprocess(pixels), preprocess(file))


def test_an_array_need_not_be_contiguous() -> None:
    pixels = noise(300, 200)

    assert np.array_equal(preprocess(pixels[::-1, ::2]), preprocess(pixels[::-1, ::2].copy()))


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((224, 224, 3), np.float32), "an array of float32: give uint8"),
        (np.zeros((9, 9, 3), bool), "an array of bool: give uint8"),
        (np.zeros((9, 9, 3), np.int64), "an array of int64: give uint8"),
        (np.zeros((3, 224, 224), np.uint8), r"shape \[3,224,224\].*channels last"),
        (np.zeros((1, 224, 224, 3), np.uint8), r"shape \[1,224,224,3\]"),
        (np.zeros((9, 9, 2), np.uint8), r"shape \[9,9,2\]"),
        (np.zeros(9, np.uint8), r"shape \[9\]"),
        (np.zeros((0, 9, 3), np.uint8), "no pixels"),
    ],
    ids=lambda value: "x".join(map(str, value.shape)) if isinstance(value, np.ndarray) else "",
)
def test_other_arrays_are_refused_with_what_to_give(array: NDArray[Any], reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        preprocess(array)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_a_pil_image_is_treated_like_its_file_and_left_alone(mode: str) -> None:
    image = solid(mode, 90, 120, 200, 30)[0].resize((50, 30), Image.Resampling.NEAREST)
    before = image.tobytes()

    result = preprocess(image)

    assert np.array_equal(result, preprocess(encoded(image, "TIFF")))
    assert (image.size, image.mode, image.tobytes()) == ((50, 30), mode, before)


def test_a_pil_image_without_pixels_is_refused() -> None:
    with pytest.raises(ImageError, match="no pixels"):
        preprocess(Image.new("RGB", (0, 5)))


# What is no image


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "^the file is empty$"),
        (b"Dear diary,\ntoday I saw a cat.\n" * 20, "^not an image, or of a format"),
        (b"<html><body>404 Not Found</body></html>", "^not an image, or of a format"),
        (b"%PDF-1.7\n", "^not an image, or of a format"),
        (bytes(1000), "^not an image, or of a format"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "^HEIC is not supported; convert it to JPEG"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "^HEIC is not supported; convert it to JPEG"),
    ],
    ids=["empty", "text", "HTML", "PDF", "zeros", "HEIC", "HEIF"],
)
def test_what_is_no_image_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        preprocess(data)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000"])
def test_a_file_that_was_cut_short_is_refused_as_such(form: str, share: float) -> None:
    data = encoded(Image.fromarray(noise(90, 70)), form)

    assert preprocess(data).shape == (224, 224, 3)
    with pytest.raises(ImageError, match=r"^damaged or cut short: "):
        preprocess(data[: int(len(data) * share)])


@pytest.mark.parametrize("kept", [1, 4, 10, 20, 30, 50])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "TIFF"])
@pytest.mark.filterwarnings("ignore")
def test_a_file_cut_within_its_header_is_refused(form: str, kept: int) -> None:
    data = encoded(Image.fromarray(noise(90, 70)), form)

    with pytest.raises(ImageError, match=r"^(damaged|not an image)"):
        preprocess(data[:kept])


def test_a_png_whose_pixels_changed_is_refused() -> None:
    data = bytearray(png(noise(90, 70)))
    data[len(data) // 2] ^= 1

    with pytest.raises(ImageError, match=r"^damaged"):
        preprocess(bytes(data))


@given(
    form=st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "TGA", "PCX"]),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), BYTE), min_size=1, max_size=8),
)
@settings(max_examples=150, deadline=None)
@pytest.mark.filterwarnings("ignore")
def test_whatever_bytes_change_there_are_pixels_or_a_reason(
    form: str, changes: list[tuple[float, int]]
) -> None:
    data = bytearray(encoded(Image.fromarray(noise(12, 9)), form))
    for place, value in changes:
        data[int(place * len(data))] = value

    try:
        result = preprocess(bytes(data))
    except ImageError as error:
        assert str(error)  # noqa: PT017
    else:
        assert result.shape == (224, 224, 3)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        png_header(60_000, 60_000),
        png_header(2**31 - 1, 2**31 - 1),
        png_header(13_378, 13_377),
        b"GIF89a" + struct.pack("<HH", 60_000, 60_000) + b"\0\0\0,\0\0\0\0\1\0\1\0\0\2",
        b"P6 60000 60000 255\n",
    ],
    ids=["PNG", "largest PNG", "just beyond", "GIF", "PPM"],
)
def test_a_decompression_bomb_is_refused_by_its_header(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object) -> None:
        pytest.fail("the pixels were asked for")

    monkeypatch.setattr(Image.Image, "load", load)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)

    with pytest.raises(ImageError, match=r"^too large: .*limit is 178,956,970 pixels"):
        preprocess(data)


def test_the_limit_holds_although_the_program_lifted_that_of_pillow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)

    with pytest.raises(ImageError, match=r"^too large: 60000x60000 pixels"):
        preprocess(png_header(60_000, 60_000))


def test_postscript_never_starts_ghostscript(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *given, **_: started.append(given))
    data = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "EPS"

    with pytest.raises(ImageError, match=r"^not an image, or of a format that is not supported$"):
        preprocess(data)
    assert started == []


def test_running_out_of_memory_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)

    with pytest.raises(ImageError, match=r"^too large: not enough memory"):
        preprocess(encoded(Image.new("RGB", (9, 9)), "BMP"))


# Fast decoding


def photograph(width: int, height: int) -> bytes:
    with Image.open(SAMPLES / "china.jpg") as image:
        return encoded(image.resize((width, height), Image.Resampling.BICUBIC), "JPEG", quality=90)


def test_fast_decoding_moves_pixels_by_little_and_only_those_of_large_jpegs() -> None:
    large = photograph(2600, 1800)
    exact, fast = preprocess(large), preprocess(large, fast_decode=True)
    difference = np.abs(exact.astype(int) - fast)
    assert 0 < difference.mean() < 1
    for other in (photograph(500, 375), png(noise(1200, 900))):
        assert np.array_equal(preprocess(other), preprocess(other, fast_decode=True))


@given(width=st.integers(230, 2100), height=st.integers(230, 2100), resize=st.integers(224, 500))
@settings(max_examples=15, deadline=None)
def test_fast_decoding_never_leaves_fewer_pixels_than_are_needed(
    width: int, height: int, resize: int
) -> None:
    drafted: list[tuple[int, int]] = []
    with mock.patch("vggfeat.preprocess.fit", lambda image, *_: drafted.append(image.size)):
        preprocess(photograph(width, height), resize, fast_decode=True)
    assert min(drafted[0]) >= min(resize, width, height)


def test_a_photograph_that_is_turned_is_turned_when_decoded_fast_too() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    with Image.open(SAMPLES / "china.jpg") as image:
        large = image.resize((2400, 1600))
    turned = encoded(large, "JPEG", exif=exif, quality=95)
    upright = encoded(large.transpose(Image.Transpose.ROTATE_270), "JPEG", quality=95)
    difference = preprocess(turned, fast_decode=True).astype(int) - preprocess(upright)
    assert np.abs(difference).mean() < 2
