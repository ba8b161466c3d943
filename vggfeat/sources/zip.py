"""Zip archives: listed by the directory at their end, and read member by member."""

from __future__ import annotations

import bz2
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from vggfeat.address import shown
from vggfeat.errors import ImageError, TransientImageError, describe_os_error
from vggfeat.outcome import Stamp
from vggfeat.sources.base import Failing, ImageRef, Source, Unit
from vggfeat.sources.files import MAX_BYTES, too_large
from vggfeat.sources.kinds import is_image_within
from vggfeat.sources.members import stamp_of_archive, stamp_within
from vggfeat.sources.ranges import buffered, open_ranges, ranges_as_of
from vggfeat.sources.skipped import Skipped

_HEADER = struct.Struct("<4s22xHH")
_SIGNATURE = b"PK\x03\x04"
_ENCRYPTED = 0x1
_SAID_TO_BE_UTF_8 = 0x800
_UNIX = 3
# The header before a member may say more than the directory: of times and owners.
_SLACK = 256

# By method; bounded, as a few bytes may stand for very many.
_DECOMPRESSORS: dict[int, Callable[[bytes, int], bytes]] = {
    zipfile.ZIP_STORED: lambda data, most: data[:most],
    zipfile.ZIP_DEFLATED: lambda data, most: zlib.decompressobj(-15).decompress(data, most),
    zipfile.ZIP_BZIP2: lambda data, most: bz2.BZ2Decompressor().decompress(data, most),
}


class Zip(NamedTuple):
    """A zip archive, or some images of it.

    Attributes:
        first: how many of its images are left out.
        length: how many follow; None for all.
    """

    address: str
    first: int = 0
    length: int | None = None

    @property
    def name(self) -> str:
        if self.length is None:
            return shown(self.address)
        return f"{shown(self.address)} (images {self.first:,} to {self.first + self.length - 1:,})"

    def images(self, skipped: Skipped) -> Iterator[ImageRef]:
        end = None if self.length is None else self.first + self.length
        return islice(_images(self.address, skipped), self.first, end)

    def inputs(self) -> Iterable[tuple[str, Stamp | None]]:
        return [(self.name, stamp_of_archive(self.address))]

    def divided(self, most: int) -> Iterator[Unit]:
        """By its directory, which is read now."""
        total = sum(1 for _ in _images(self.address, Skipped()))
        if total <= most:
            yield self
            return
        for first in range(0, total, most):
            yield Zip(self.address, first, min(most, total - first))


class ZipMember(NamedTuple):
    """An image in a zip archive.

    Attributes:
        at: the archive's stamp.
        told: its own.
        offset: of its header.
        names: bytes of what follows the header's fixed part, as the directory has it.
        packed: bytes in the archive.
        crc: of its content.
        method: by which it is compressed.
        flags: of the format.
    """

    name: str
    archive: str
    at: Stamp | None
    told: Stamp | None
    size: int
    offset: int
    names: int
    packed: int
    crc: int
    method: int
    flags: int

    def stamp(self) -> Stamp | None:
        return self.told

    def read(self) -> Source:
        if self.flags & _ENCRYPTED:
            raise ImageError("it is encrypted, and passwords are not asked for")
        if max(self.size, self.packed) > MAX_BYTES:
            raise too_large(max(self.size, self.packed))
        data = self._decompressed(self._packed())
        if len(data) != self.size or zlib.crc32(data) != self.crc:
            raise ImageError("damaged: it has not the checksum that the archive tells")
        return Source(data, self.told or Stamp(len(data), 0))

    def _packed(self) -> bytes:
        """Its bytes as they are in the archive, with one request."""
        archive = ranges_as_of(self.archive, self.at)
        length = _HEADER.size + self.names + self.packed
        found = archive.read(self.offset, length + _SLACK)
        signature, *lengths = _HEADER.unpack_from(found.ljust(_HEADER.size, b"\0"))
        if signature != _SIGNATURE:
            raise ImageError("damaged: it is not where the archive's directory says")
        start = _HEADER.size + sum(lengths)
        if (missing := start + self.packed - len(found)) > 0:
            found += archive.read(self.offset + len(found), missing)
        return found[start : start + self.packed]

    def _decompressed(self, packed: bytes) -> bytes:
        try:
            if how := _DECOMPRESSORS.get(self.method):
                return how(packed, self.size + 1)
            info = zipfile.ZipInfo()
            info.compress_type, info.compress_size = self.method, self.packed
            info.file_size, info.CRC = self.size, self.crc
            with zipfile.ZipExtFile(io.BytesIO(packed), "r", info) as file:
                return file.read(self.size)
        except NotImplementedError as error:
            raise ImageError(f"compressed in a way that is not known here: {error}") from error
        except Exception as error:
            raise ImageError(f"damaged: {error}") from error


def _name(info: zipfile.ZipInfo) -> str:
    """The name of a member. Tools on Unix often write UTF-8 and do not say so.

    The format has them be of code page 437, if nothing is said, by which zipfile goes.
    """
    if info.flag_bits & _SAID_TO_BE_UTF_8 or info.filename.isascii():
        return info.filename
    try:
        raw = info.filename.encode("cp437")
    except UnicodeEncodeError:  # it has been said in another way
        return info.filename
    try:
        return raw.decode()
    except UnicodeDecodeError:
        by_unix = info.create_system == _UNIX
        return raw.decode(errors="surrogateescape") if by_unix else info.filename


def _images(archive: str, skipped: Skipped) -> Iterator[ImageRef]:
    """All images of an archive, in the order of its directory."""
    name = shown(archive)
    try:
        ranges = open_ranges(archive)
        with zipfile.ZipFile(buffered(ranges)) as opened:
            listed = opened.infolist()
    except TransientImageError as error:
        yield Failing(name, str(error), may_pass=True)
        return
    except OSError as error:
        yield Failing(name, describe_os_error(error))
        return
    except (ImageError, zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        damaged = "" if isinstance(error, ImageError) else "damaged: "
        yield Failing(name, f"{damaged}{error}")
        return
    for number, info in enumerate(listed):
        if info.is_dir() or not is_image_within(_name(info), skipped):
            continue
        yield ZipMember(
            f"{name}/{_name(info)}", archive, ranges.stamp,
            stamp_within(ranges.stamp, info.file_size, number), info.file_size,
            info.header_offset, len(info.orig_filename.encode(errors="replace")) + len(info.extra),
            info.compress_size, info.CRC, info.compress_type, info.flag_bits,
        )  # fmt: skip
