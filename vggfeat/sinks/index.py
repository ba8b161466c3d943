"""The files beside an output: which row is which image, what failed, and what made it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from vggfeat.outcome import Failure, Stamp
from vggfeat.sinks.csv import field

INDEX_HEADER = b"row,path,size,mtime_ns,sha256,crc32\n"
FAILED_HEADER = b"path,reason,size,mtime_ns\n"


class Companions(NamedTuple):
    """`feats.json`, `feats.index.csv` and `feats.failed.csv` of `feats.npy`."""

    about: Path
    rows: Path
    failed: Path


class Entry(NamedTuple):
    """What the index tells of a row.

    Attributes:
        name: path of the image.
        stamp: of its file when it was read.
        sha256: of the file's bytes.
        crc32: of the row's numbers, little-endian, as eight hexadecimal digits; of several layers
            one after the other, with a space between.
    """

    name: str
    stamp: Stamp
    sha256: str
    crc32: str

    @property
    def crc32s(self) -> list[str]:
        """By layer."""
        return self.crc32.split(" ")


def beside(output: Path) -> Companions:
    stem = output.stem if output.suffix else output.name
    return Companions(
        *(output.with_name(stem + end) for end in (".json", ".index.csv", ".failed.csv"))
    )


def index_line(number: int, entry: Entry) -> bytes:
    path, (size, mtime_ns) = field(entry.name), entry.stamp
    return b"%d,%b,%d,%d,%b,%b\n" % (
        number, path, size, mtime_ns, entry.sha256.encode(), entry.crc32.encode()
    )  # fmt: skip


def failed_line(failure: Failure) -> bytes:
    stamp = b"%d,%d" % failure.stamp if failure.stamp else b","
    return b"%b,%b,%b\n" % (field(failure.name), field(failure.reason), stamp)


def entries(data: bytes) -> Iterator[Entry]:
    """The rows that an index lists. Raises ValueError where it is damaged."""
    for number, line in enumerate(_lines(data, INDEX_HEADER)):
        row, name, size, mtime_ns, sha256, crc32 = line
        if row != str(number):
            raise ValueError(f"row {number} is not there")
        yield Entry(name, Stamp(int(size), int(mtime_ns)), sha256, crc32)


def failures(data: bytes) -> Iterator[Failure]:
    """The images that a list of failures names. Raises ValueError where it is damaged."""
    for name, reason, size, mtime_ns in _lines(data, FAILED_HEADER):
        yield Failure(name, reason, Stamp(int(size), int(mtime_ns)) if size else None)


def _lines(data: bytes, header: bytes) -> Iterator[list[str]]:
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8", "surrogateescape", newline="")
    lines = csv.reader(text, strict=True)
    try:
        if next(lines, None) != header.decode().rstrip("\n").split(","):
            raise ValueError("its columns are others")
        yield from lines
    except csv.Error as error:
        raise ValueError(str(error)) from error


def encode_index(listed: Iterable[Entry]) -> bytes:
    return INDEX_HEADER + b"".join(index_line(*numbered) for numbered in enumerate(listed))


def encode_failed(listed: Iterable[Failure]) -> bytes:
    """A list of failures; nothing at all where there are none."""
    body = b"".join(map(failed_line, listed))
    return FAILED_HEADER + body if body else b""


def read_about(path: Path) -> dict[str, Any] | None:
    """What is written of an output; None where another program wrote the file.

    Raises OSError (FileNotFoundError where there is none).
    """
    try:
        about = json.loads(path.read_bytes())
    except ValueError:
        return None
    return about if isinstance(about, dict) and "vggfeat" in about else None


def encode_about(about: dict[str, Any]) -> bytes:
    return json.dumps(about, indent=2).encode() + b"\n"
