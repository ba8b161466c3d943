"""NumPy's .npz: an array of the layer's name, not compressed, so that it can be mapped, and paths.

Paths are an array of text, no pickle. It is written as a stream: `numpy.savez` has all in memory.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy_format

from vggfeat.outcome import Numbers
from vggfeat.sinks import RowType, npy
from vggfeat.sinks.containers import CutError
from vggfeat.sinks.index import Entry

MAGIC = b"PK\x03\x04"

_PATH = "path"
_NAMES = 4096
_CHUNK = 1 << 20  # bytes
_ALIGNED = 64  # bytes, to which NumPy's own header aligns as well

# The header of a member in an archive (4.3.7 of its specification): the lengths of its name and of
# what else there is stand at its end. zipfile puts 20 bytes there, for sizes above 4 GiB.
_HEADER = struct.Struct("<26xHH")
_ZIP64 = 20
_PADDING = 0xD935  # the kind of a field that only aligns, as Android's tools write it


def key(entry: Entry) -> str:
    return entry.name


def write(file: BinaryIO, entries: Sequence[Entry], rows: Iterable[Numbers], kind: RowType) -> None:
    names = [entry.name for entry in entries]
    following = iter(rows)
    many = max(_CHUNK // kind.nbytes, 1)
    with zipfile.ZipFile(file, "w") as archive:
        with _member(archive, kind.name, file.tell()) as member:
            member.write(npy.header(len(entries), kind))
            while some := list(islice(following, many)):
                member.write(npy.encode([], np.stack(some)))
        with _member(archive, _PATH, file.tell()) as member:
            text = np.dtype(f"<U{max(map(len, names), default=1)}")
            member.write(_text_header(len(names), text))
            for first in range(0, len(names), _NAMES):
                member.write(np.array(names[first : first + _NAMES], text).tobytes())


@contextmanager
def _member(archive: zipfile.ZipFile, name: str, at: int) -> Iterator[BinaryIO]:
    info = zipfile.ZipInfo(f"{name}.npy")
    begin = at + _HEADER.size + len(info.filename) + 4 + _ZIP64
    padding = -begin % _ALIGNED
    info.extra = struct.pack("<HH", _PADDING, padding) + bytes(padding)
    with archive.open(info, "w", force_zip64=True) as member:
        yield member  # type: ignore[misc]


def _text_header(rows: int, text: np.dtype[np.str_]) -> bytes:
    out = io.BytesIO()
    npy_format.write_array_header_1_0(
        out, {"descr": text.str, "fortran_order": False, "shape": (rows,)}
    )
    return out.getvalue()


def keys(file: BinaryIO, kind: RowType) -> Iterator[str]:
    with _told(), zipfile.ZipFile(file) as archive, archive.open(f"{_PATH}.npy") as member:
        (rows,), text = npy.read_header(member)
        for first in range(0, rows, _NAMES):
            data = member.read(min(_NAMES, rows - first) * text.itemsize)
            yield from np.frombuffer(data, text).tolist()


def rows(file: BinaryIO, kind: RowType) -> Numbers:
    with _told(), zipfile.ZipFile(file) as archive:
        info = archive.getinfo(f"{kind.name}.npy")
        archive.getinfo(f"{_PATH}.npy")
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError("it is compressed, which vggfeat does not")
    file.seek(info.header_offset)
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise ValueError("a member of it is not there")
    file.seek(sum(_HEADER.unpack(header)), io.SEEK_CUR)
    return npy.load(file, kind)


load = rows


@contextmanager
def _told() -> Iterator[None]:
    """What zipfile says as ValueError."""
    try:
        yield
    except (zipfile.BadZipFile, EOFError, struct.error) as error:
        raise CutError(str(error)) from error
    except (KeyError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ValueError(str(error)) from error
