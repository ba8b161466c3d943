"""Rows as an Arrow table, for Parquet files: a column of paths, one for each layer, and the stamps.

Plain Arrow types only, so that any reader has them without a word of ours: a layer is a
`fixed_size_list` of all numbers of a row, and the shape of a map stands in the field's metadata.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vggfeat.outcome import Numbers
from vggfeat.sinks import RowType
from vggfeat.sinks.index import Entry

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

SHAPE = b"shape"  # in a field's metadata: `7,7,512`

_GROUP = 16 << 20  # bytes of rows, which a reader has in memory at once

# Bytes of a name that are no UTF-8, from 80 to FF, are told as the private signs U+EF80 to U+EFFF
# (as in MirBSD's OPTU-8), and those signs themselves by their bytes, so that it can be undone.
_RAW = 0xEF00
_ODD = re.compile("[\udc80-\udcff\uef80-\uefff]")
_TOLD = re.compile("[\uef80-\uefff]+")


def column_of(layer: str) -> str:
    """The name of a layer's column: `pool5.avg` of `pool5:avg`."""
    return layer.replace(":", ".")


def schema(layers: Iterable[tuple[str, Sequence[int]]], dtype: str) -> pa.Schema:
    """The columns of a table of rows: path, each layer, size, mtime_ns, sha256.

    Args:
        layers: each with the shape of a row.
        dtype: `float32` or `float16`.
    """
    import pyarrow as pa

    number = {"float32": pa.float32(), "float16": pa.float16()}[dtype]
    element = pa.field("element", number, nullable=False)
    columns = [
        pa.field(
            column_of(layer),
            pa.list_(element, math.prod(shape)),
            nullable=False,
            metadata={SHAPE: ",".join(map(str, shape)).encode()},
        )
        for layer, shape in layers
    ]
    return pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            *columns,
            pa.field("size", pa.int64()),
            pa.field("mtime_ns", pa.int64()),
            pa.field("sha256", pa.string()),
        ]
    )


def shape_of(field: pa.Field) -> tuple[int, ...]:
    """The shape of a row in a layer's column."""
    return tuple(map(int, field.metadata[SHAPE].split(b",")))


def table(entries: Sequence[Entry], features: Sequence[Numbers], columns: pa.Schema) -> pa.Table:
    """Rows as a table.

    Args:
        entries: what is told of each of the `n` rows.
        features: of each layer `[n, *shape]`, or flat.
        columns: as `schema` gives them, in the order of the layers.
    """
    import pyarrow as pa

    stamps = list(map(stamp_of, entries))
    lists: list[Any] = [
        _lists(column, field.type)
        for column, field in zip(features, list(columns)[1:-3], strict=True)
    ]
    return pa.table(
        [
            pa.array([text(entry.name) for entry in entries], pa.string()),
            *lists,
            pa.array([size for size, _ in stamps], pa.int64()),
            pa.array([mtime_ns for _, mtime_ns in stamps], pa.int64()),
            pa.array([entry.sha256 for entry in entries], pa.string()),
        ],
        schema=columns,
    )


def stamp_of(entry: Entry) -> tuple[int | None, int | None]:
    """Size and mtime_ns, where there are such."""
    return (entry.stamp.size, entry.stamp.mtime_ns) if entry.stamp else (None, None)


def rows_of_a_group(kinds: Iterable[RowType]) -> int:
    """How many rows of these layers to write as one group."""
    return max(_GROUP // sum(kind.nbytes for kind in kinds), 1)


def writer(where: Any, columns: pa.Schema) -> pq.ParquetWriter:
    """What writes tables of these columns to a path or an open file.

    Raises OSError.
    """
    import pyarrow.parquet as pq

    return pq.ParquetWriter(
        where,
        columns,
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        write_page_checksum=True,
    )


def _lists(features: Numbers, kind: pa.FixedSizeListType) -> pa.FixedSizeListArray:
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(features).reshape(-1), kind.value_type)
    return pa.FixedSizeListArray.from_arrays(flat, type=kind)


def numbers(column: pa.Array) -> Numbers:
    """The rows of a layer's column `[n, numbers of a row]`, without a copy."""
    flat = column.flatten().to_numpy(zero_copy_only=True)
    return np.asarray(flat).reshape(len(column), -1)


def text(name: str) -> str:
    """A name as valid UTF-8 can tell it; `name_of` undoes it."""
    return _ODD.sub(_escaped, name) if not name.isascii() else name


def name_of(told: str) -> str:
    """The name, as the file system has it, of what `text` made of it."""
    return _TOLD.sub(_unescaped, told) if not told.isascii() else told


def _escaped(sign: re.Match[str]) -> str:
    return "".join(chr(_RAW + byte) for byte in sign[0].encode("utf-8", "surrogateescape"))


def _unescaped(signs: re.Match[str]) -> str:
    return bytes(ord(sign) - _RAW for sign in signs[0]).decode("utf-8", "surrogateescape")
