"""Tar archives, and webdataset's shards, which are some: plain or compressed, here or far away.

Of a plain one on this machine only the headers are read on the way; an image is read when somebody
asks for it. All others are one stream, of which images come with their bytes.
"""

from __future__ import annotations

import copy
import lzma
import os
import stat
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

from vggfeat.address import is_address, shown
from vggfeat.errors import ImageError, TransientImageError, describe_os_error
from vggfeat.outcome import Stamp
from vggfeat.sources.base import Failing, ImageRef, Source, Unit
from vggfeat.sources.files import CHANGED, MAX_BYTES, too_large
from vggfeat.sources.forward import Forward, Seeking
from vggfeat.sources.held import Held, waiting
from vggfeat.sources.kinds import is_image_within
from vggfeat.sources.members import stamp_of_archive, stamp_within
from vggfeat.sources.skipped import Skipped
from vggfeat.sources.stream import LONGEST_MAGIC, is_compressed, streamed
from vggfeat.sources.tar_headers import members

_DAMAGED = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError, OverflowError)
_ENDS_EARLY = "the archive ends early"

# Offset in the archive, offset in the image, length. What no piece covers is zero.
_Pieces: TypeAlias = "tuple[tuple[int, int, int], ...]"


class Tar(NamedTuple):
    """A tar archive."""

    address: str

    @property
    def name(self) -> str:
        return shown(self.address)

    def images(self, skipped: Skipped) -> Iterator[ImageRef]:
        try:
            if is_plain(self.address):
                yield from _lazily(self.address, skipped)
            else:
                yield from _streaming(self.address, skipped)
        except ImageError as error:
            yield Failing(self.name, str(error), isinstance(error, TransientImageError))
        except OSError as error:  # gzip's and Arrow's have no number
            damaged = "" if error.errno else "damaged: "
            yield Failing(self.name, damaged + describe_os_error(error))
        except _DAMAGED as error:
            early = "unexpected end" in str(error) or isinstance(error, EOFError)
            yield Failing(self.name, _ENDS_EARLY if early else f"damaged: {error}")

    def inputs(self) -> Iterable[tuple[str, Stamp | None]]:
        return [(self.name, stamp_of_archive(self.address))]

    def divided(self, most: int) -> Iterator[Unit]:
        yield self


class TarMember(NamedTuple):
    """An image in a plain tar archive on this machine.

    Attributes:
        at: the archive's stamp.
        told: its own.
        pieces: where its bytes are.
    """

    name: str
    archive: str
    at: Stamp
    told: Stamp
    pieces: _Pieces

    def stamp(self) -> Stamp | None:
        return self.told

    def read(self) -> Source:
        size = self.told.size
        if size > MAX_BYTES:
            raise too_large(size)
        with open(self.archive, "rb", buffering=0) as file:
            info = os.fstat(file.fileno())
            if Stamp(info.st_size, info.st_mtime_ns) != self.at:
                raise TransientImageError(CHANGED)
            try:
                return Source(_joined(Seeking(file), size, self.pieces), self.told)
            except EOFError:
                raise ImageError(_ENDS_EARLY) from None


def is_plain(archive: str) -> bool:
    """Whether it is one on this machine, of which members can be read one by one."""
    if is_address(archive) or not stat.S_ISREG(os.stat(archive).st_mode):
        return False
    with open(archive, "rb") as file:
        return not is_compressed(file.read(LONGEST_MAGIC))


def _lazily(archive: str, skipped: Skipped) -> Iterator[ImageRef]:
    """The images of a plain archive on this machine, of which none is read."""
    with open(archive, "rb") as file:
        info = os.fstat(file.fileno())
        at = Stamp(info.st_size, info.st_mtime_ns)
        targets: dict[str, tarfile.TarInfo] | None = None
        for number, member in enumerate(members(Seeking(file))):
            content = member
            if member.islnk():
                # Few archives have any: those are gone through once more.
                targets = _regular(archive) if targets is None else targets
                content = copy.copy(targets.get(member.linkname, member))
                content.name = member.name
            if _is_image(content, skipped):
                told = Stamp(content.size, at.mtime_ns + number)
                yield TarMember(f"{archive}/{member.name}", archive, at, told, _pieces(content))
        if os.fstat(file.fileno()).st_mtime_ns != at.mtime_ns:
            raise TransientImageError(CHANGED)


def _regular(archive: str) -> dict[str, tarfile.TarInfo]:
    with open(archive, "rb") as file:
        return {member.name: member for member in members(Seeking(file)) if member.isreg()}


def _streaming(archive: str, skipped: Skipped) -> Iterator[ImageRef]:
    """The images of any archive, each with its bytes."""
    name = shown(archive)
    with streamed(archive) as (file, at):
        for number, member in enumerate(members(file)):
            if not _is_image(member, skipped):
                continue
            within, size = f"{name}/{member.name}", member.size
            if size > MAX_BYTES:
                yield Failing(within, str(too_large(size)))
                continue
            leave = waiting.room_for(size)
            data = _joined(file, size, _pieces(member))
            yield Held(within, data, stamp_within(at, size, number), leave)


def _is_image(member: tarfile.TarInfo, skipped: Skipped) -> bool:
    """Whether a member is an image with bytes; else it is counted."""
    if member.isdir() or not is_image_within(member.name, skipped):
        return False
    if not member.isreg():
        skipped.links += 1
    return member.isreg()


def _pieces(member: tarfile.TarInfo) -> _Pieces:
    sparse: Any = member.sparse
    pieces, within = [], member.offset_data
    for start, length in [(0, member.size)] if sparse is None else sparse:
        pieces.append((within, start, length))
        within += length
    return tuple(pieces)


def _joined(file: Forward, size: int, pieces: _Pieces) -> bytes:
    """The bytes of a member. Raises EOFError: the archive ends before."""
    if len(pieces) == 1 and pieces[0][2] == size:
        file.seek(pieces[0][0])
        return _exactly(file, size)
    data = bytearray(size)
    for within, start, length in pieces:
        file.seek(within)
        data[start : start + length] = _exactly(file, length)
    return bytes(data)


def _exactly(file: Forward, size: int) -> bytes:
    data = file.take(size)
    if len(data) < size:
        raise EOFError
    return data
