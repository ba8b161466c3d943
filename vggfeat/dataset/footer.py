"""What Parquet files of a dataset tell of themselves, and the failures among them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from vggfeat.dataset.part import Made
from vggfeat.outcome import Failure, Stamp
from vggfeat.sinks import arrow

KEY = b"vggfeat"
DAMAGED = (OSError, ValueError, TypeError, KeyError, pa.ArrowException)

_FAILURES = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("size", pa.int64()),
        pa.field("mtime_ns", pa.int64()),
    ]
)


def footer(data: bytes) -> Made | None:
    """What a file of that end tells; None where it is damaged or another program's."""
    try:
        return Made.decode(parquet.read_metadata(io.BytesIO(data)).metadata[KEY])
    except DAMAGED:
        return None


def is_foreign(data: bytes) -> bool:
    """Whether a file of that end is sound, and does not tell of vggfeat."""
    try:
        return KEY not in (parquet.read_metadata(io.BytesIO(data)).metadata or {})
    except DAMAGED:
        return False


def stamp_in(row: Mapping[str, Any]) -> Stamp | None:
    return None if row["size"] is None else Stamp(row["size"], row["mtime_ns"])


def encode_failures(failures: Sequence[Failure], made: Made) -> bytes:
    """A file of failures, of the run that made the part."""
    stamps = [failure.stamp or (None, None) for failure in failures]
    columns = [
        [arrow.text(failure.name) for failure in failures],
        [arrow.text(failure.reason) for failure in failures],
        [size for size, _ in stamps],
        [mtime_ns for _, mtime_ns in stamps],
    ]
    arrays = [pa.array(c, field.type) for c, field in zip(columns, _FAILURES, strict=True)]
    schema = _FAILURES.with_metadata({KEY: made.encode()})
    out = io.BytesIO()
    with arrow.writer(out, schema) as writer:
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
    return out.getvalue()


def decode_failures(data: bytes, run: str) -> list[Failure]:
    """Those of that run. Raises one of `DAMAGED` where they are not."""
    found = footer(data)
    if found is None or found.run != run:
        raise ValueError("failures of another run")
    told = parquet.read_table(io.BytesIO(data), page_checksum_verification=True).to_pylist()
    return [
        Failure(arrow.name_of(row["path"]), arrow.name_of(row["reason"]), stamp_in(row))
        for row in told
    ]
