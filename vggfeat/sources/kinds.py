"""What a name stands for, by its suffix: an image, an archive or a table."""

from __future__ import annotations

import os
import re
from typing import Literal, TypeAlias

from vggfeat.address import is_address
from vggfeat.sources.skipped import Skipped

# What counts as an image in a folder. A file that is named outright is always tried.
# HEIC is here although it cannot be read: a phone's photographs must not vanish in silence.
SUFFIXES = frozenset(
    ".apng .avif .avifs .bmp .dcx .dds .dib .gif .heic .heif .hif .icns .ico .j2c .j2k .jfif"
    " .jp2 .jpc .jpe .jpeg .jpf .jpg .jpx .mpo .pbm .pcx .pfm .pgm .png .pnm .ppm .psd .qoi"
    " .sgi .tga .tif .tiff .webp".split()
)


Kind: TypeAlias = Literal["tar", "zip", "table"]

_KINDS: dict[Kind, re.Pattern[str]] = {
    "tar": re.compile(r"\.(tar(\.(gz|bz2|xz|zst))?|tgz|tbz2?|txz|tzst)$", re.IGNORECASE),
    "zip": re.compile(r"\.zip$", re.IGNORECASE),
    "table": re.compile(r"\.(parquet|pq|arrow|arrows|feather|ipc)$", re.IGNORECASE),
}
_HTTP = re.compile(r"https?://", re.IGNORECASE)
_META = re.compile(r"__[^/]*__($|/)")  # webdataset's own


def is_http(name: str) -> bool:
    """Whether it is an address that stands for one file, as no server lists them."""
    return bool(_HTTP.match(name))


def kind_of(name: str) -> Kind | None:
    """What a file is, where it is no image."""
    if is_address(name) and is_http(name):
        name = re.split(r"[?#]", name, maxsplit=1)[0]
    return next((kind for kind, suffix in _KINDS.items() if suffix.search(name)), None)


def is_image(name: str) -> bool:
    """Whether the suffix is one of images, in any case."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def is_image_within(member: str, skipped: Skipped) -> bool:
    """Whether a member of an archive is an image, by its name; else it is counted."""
    if is_hidden(member):
        skipped.hidden += 1
    elif _META.match(member) or not is_image(member):
        skipped.not_images += 1
    else:
        return True
    return False


def is_hidden(path: str) -> bool:
    """Whether a file, or a folder that it is in, is not meant to be seen."""
    return any(
        part == "__MACOSX" or (part.startswith(".") and part not in (".", ".."))
        for part in path.split("/")
    )
