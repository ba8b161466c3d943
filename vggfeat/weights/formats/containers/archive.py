"""Zip archives whose stored entries are mapped where they lie.

Local headers repeat an entry's name and have extra fields of their own, of which only the
lengths count here (APPNOTE.TXT of PKWARE, 4.3.7).
"""

from __future__ import annotations

import itertools
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import WeightsError
from vggfeat.weights.formats.containers import head
from vggfeat.weights.tensors import map_file

_MAGIC = b"PK\x03\x04"
_LOCAL = struct.Struct("<4s22xHH")  # 30 bytes: magic ... length of name, length of extra fields
_ENCRYPTED = 1
_MOST_ENTRIES = 1 << 16
_LONGEST_DIRECTORY = 1 << 23  # bytes; zipfile makes an object of each 46 of them

_END = b"PK\x05\x06"  # 22 bytes and a comment: the directory's length is at 12 (4.3.16)
_END_64 = b"PK\x06\x06"  # 56 bytes: at 40 (4.3.14), before 20 bytes that tell where this is
_LONGEST_END = 22 + 65535
_PIECE = 1 << 20
_MOST_DEFLATED = 1032  # zlib.net/zlib_tech.html: the most that deflate shrinks


def names_in(path: Path) -> list[str]:
    """The entries of a zip archive; none of any other file.

    Raises:
        WeightsError: an archive that is damaged, or has far too many entries.
    """
    return list(Archive(path).entries) if head(path, len(_MAGIC)) == _MAGIC else []


class Archive:
    """A zip archive, open as long as it is referred to.

    Attributes:
        entries: by name.
        comment: of the archive, as text.
    """

    def __init__(self, path: Path) -> None:
        """Raises WeightsError: two entries of one name, or on one place, or far too many."""
        self._data = map_file(path)
        with open(path, "rb") as file:
            if _directory_length(file) > _LONGEST_DIRECTORY:
                raise WeightsError("the zip archive has more entries than any network")
        try:
            self._archive = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise WeightsError(
                "damaged: a zip archive without a whole directory, as of a file that is cut short"
            ) from error
        entries = self._archive.infolist()
        self.comment = self._archive.comment.decode("utf-8", "replace")
        if len(entries) > _MOST_ENTRIES:
            raise WeightsError("the zip archive has more entries than any network")
        self.entries = {entry.filename: entry for entry in entries}
        if len(self.entries) != len(entries):
            raise WeightsError("damaged: the zip archive has several entries of one name")
        by_place = sorted(entries, key=lambda entry: entry.header_offset)
        for entry, following in itertools.pairwise(by_place):
            end = entry.header_offset + _LOCAL.size + entry.compress_size
            if end > following.header_offset:
                raise WeightsError("damaged: entries of the zip archive overlap")

    def mapped(self, name: str) -> NDArray[np.uint8]:
        """The bytes of an entry that is stored as it is.

        Raises:
            WeightsError: it is not there, not stored, or reaches beyond the file.
        """
        entry = self._entry(name)
        if entry.compress_type != zipfile.ZIP_STORED:
            raise WeightsError(f"{_shown(name)} in the zip archive is compressed")
        place = entry.header_offset
        header = self._data[place : place + _LOCAL.size].tobytes()
        if place < 0 or len(header) < _LOCAL.size or not header.startswith(_MAGIC):
            raise WeightsError(f"damaged: {_shown(name)} is not where the zip archive says")
        begin = place + _LOCAL.size + sum(_LOCAL.unpack(header)[1:])
        end = begin + entry.file_size
        if entry.file_size != entry.compress_size or end > len(self._data):
            raise WeightsError(f"damaged: {_shown(name)} reaches beyond the zip archive")
        return self._data[begin:end]

    def is_stored(self, name: str) -> bool:
        return self._entry(name).compress_type == zipfile.ZIP_STORED

    def inflated(self, name: str, begin: int, length: int) -> NDArray[np.uint8]:
        """A stretch of an entry that is deflated; less where it ends before.

        Its checksum is verified where the stretch reaches its end.

        Raises:
            WeightsError: it is not there, or not deflated, or damaged.
        """
        try:
            with self._opened(name) as file:
                file.read(begin)
                target = np.empty(min(length, max(self.size(name) - begin, 0)), np.uint8)
                done = 0
                while done < len(target) and (piece := file.read(min(_PIECE, len(target) - done))):
                    target[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
                    done += len(piece)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise WeightsError(f"damaged: {_shown(name)} cannot be decompressed") from error
        return target[:done]

    def size(self, name: str) -> int:
        """How many bytes an entry has when it is not compressed."""
        return self._entry(name).file_size

    def text(self, name: str, default: str = "") -> str:
        """A small entry as text, the default where there is none."""
        if name not in self.entries:
            return default
        return self.mapped(name)[:64].tobytes().decode("utf-8", "replace")

    def _opened(self, name: str) -> IO[bytes]:
        """An entry that is deflated, to be read from its beginning.

        Raises:
            WeightsError: it is not there, or says that it is larger than deflate can make it.
            zipfile.BadZipFile: it is damaged.
        """
        entry = self._entry(name)
        if entry.compress_type != zipfile.ZIP_DEFLATED:
            raise WeightsError(f"{_shown(name)} in the zip archive is compressed in a rare way")
        if entry.file_size > _MOST_DEFLATED * entry.compress_size + _MOST_DEFLATED:
            raise WeightsError(f"damaged: {_shown(name)} in the zip archive has no such size")
        return self._archive.open(entry)

    def _entry(self, name: str) -> zipfile.ZipInfo:
        entry = self.entries.get(name)
        if entry is None:
            raise WeightsError(f"damaged: the zip archive has no {_shown(name)}")
        if entry.flag_bits & _ENCRYPTED:
            raise WeightsError("the zip archive is encrypted")
        return entry


def _directory_length(file: IO[bytes]) -> int:
    """How long an archive's directory says that it is, found where zipfile finds it."""
    length = file.seek(0, 2)
    file.seek(max(length - _LONGEST_END - 76, 0))
    tail = file.read()
    at = len(tail) - 22
    if not (tail[at:].startswith(_END) and tail.endswith(b"\0\0")):
        at = tail.rfind(_END)
    if at < 0 or at + 16 > len(tail):
        return 0
    longest = int.from_bytes(tail[at + 12 : at + 16], "little")
    if at >= 76 and tail[at - 76 :].startswith(_END_64):
        longest = int.from_bytes(tail[at - 36 : at - 28], "little")
    return longest


def _shown(name: str) -> str:
    return repr(name[-60:])
