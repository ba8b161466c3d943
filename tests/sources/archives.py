"""Archives, tables and remote places made for tests, and what is read from them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from vggfeat.errors import ImageError
from vggfeat.sources import open_inputs

Members = list[tuple[str, bytes]]


def zstandard(data: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(data)
    return bytes(out.getvalue())


COMPRESSIONS = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard,
}


def tar(members: Iterable[tuple[str, bytes]], form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar archive, written by tarfile."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zipped(members: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive, written by zipfile."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def parquet(table: pa.Table, row_group_size: int = 3) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(table, out, row_group_size=row_group_size)
    return bytes(out.getvalue())


class Read(NamedTuple):
    """What was read: bytes, or why not."""

    name: str
    data: bytes | None
    reason: str = ""


def read(*names: str | Path, column: str | None = None) -> list[Read]:
    """What open_inputs gives for these names, read one after the other."""
    found = []
    for ref in open_inputs(list(map(str, names)), column=column):
        try:
            data = ref.read().data
        except (ImageError, OSError) as error:
            found.append(Read(ref.name, None, str(error)))
        else:
            assert isinstance(data, bytes)
            found.append(Read(ref.name, data))
    return found


def whole(*names: str | Path, column: str | None = None) -> list[tuple[str, bytes]]:
    """The same, where all can be read."""
    found = read(*names, column=column)
    assert not [item for item in found if item.data is None]
    return [(item.name, item.data or b"") for item in found]
