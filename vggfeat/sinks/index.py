"""The files beside an output: which row is which image, what failed, and what made it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from vggfeat.errors import VggfeatError
from vggfeat.outcome import Failure, Row
from vggfeat.sinks.csv import field

INDEX_HEADER = b"row,path,size,mtime_ns\n"
FAILED_HEADER = b"path,reason\n"


class Companions(NamedTuple):
    """`feats.json`, `feats.index.csv` and `feats.failed.csv` of `feats.npy`."""

    about: Path
    rows: Path
    failed: Path


def beside(output: Path) -> Companions:
    stem = output.stem if output.suffix else output.name
    return Companions(
        *(output.with_name(stem + end) for end in (".json", ".index.csv", ".failed.csv"))
    )


def index_line(number: int, row: Row) -> bytes:
    return b"%d,%b,%d,%d\n" % (number, field(row.name), row.size, row.mtime_ns)


def failed_line(failure: Failure) -> bytes:
    return b"%b,%b\n" % (field(failure.name), field(failure.reason))


def paths(index: Path) -> Iterator[str]:
    """The paths of an index, by row. Raises OSError, VggfeatError."""
    with open(index, encoding="utf-8", errors="surrogateescape", newline="") as file:
        for number, line in enumerate(csv.DictReader(file)):
            if line.get("row") != str(number) or line.get("path") is None:
                raise VggfeatError(f"{index}: damaged at row {number}")
            yield line["path"]


def read_about(path: Path) -> dict[str, Any] | None:
    """What is written of an output; None where another program wrote the file.

    Raises OSError (FileNotFoundError where there is none).
    """
    try:
        about = json.loads(path.read_bytes())
    except ValueError:
        return None
    return about if isinstance(about, dict) and "vggfeat" in about else None


def encode_about(about: dict[str, object]) -> bytes:
    return json.dumps(about, indent=2).encode() + b"\n"
