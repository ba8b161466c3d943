"""How an image is meant to be seen, as its EXIF orientation tells it."""

from __future__ import annotations

from PIL import ExifTags, Image

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
_MIRRORED_X, _MIRRORED_Y, SWAPPED = (
    frozenset(map(_TURNS.get, orientations))
    for orientations in ((2, 3, 6, 7), (3, 4, 7, 8), (5, 6, 7, 8))
)


def upright(image: Image.Image) -> Image.Image:
    """The image as its EXIF orientation means it to be seen."""
    turn = turn_of(image)
    return image if turn is None else image.transpose(turn)


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """What turns the stored pixels upright; None if nothing has to. Loads the image."""
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


def stored_box(
    turn: Image.Transpose | None, size: tuple[int, int], box: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    """Where in the stored image a box of the upright one is."""
    (width, height), (left, top, right, bottom) = size, box
    if turn in _MIRRORED_X:
        left, right = width - right, width - left
    if turn in _MIRRORED_Y:
        top, bottom = height - bottom, height - top
    return (top, left, bottom, right) if turn in SWAPPED else (left, top, right, bottom)
