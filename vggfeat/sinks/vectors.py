"""The files of rows of an output: one for each layer, side by side over one index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vggfeat.sinks import Form, RowType, form
from vggfeat.sinks.index import Entry
from vggfeat.sinks.rows import RowFile


class Vectors(NamedTuple):
    """A file of rows.

    Attributes:
        path: where it is published.
        form: how its rows are written.
        kind: what its rows are.
        column: which of an entry's checksums are those of its rows.
    """

    path: Path
    form: Form
    kind: RowType
    column: int

    def header(self, rows: int) -> bytes:
        return self.form.header(rows, self.kind)

    def begins_as_told(self, rows: int) -> bool:
        """Whether the file has the header of so many rows. Raises OSError."""
        header = self.header(rows)
        with open(self.path, "rb") as file:
            return file.read(len(header)) == header

    def open(self, entries: Sequence[Entry], path: Path | None = None) -> RowFile:
        """The rows of these images, to be read. Raises OSError.

        Args:
            path: the file, where it is not published yet.
        """
        names = [entry.name for entry in entries]
        return RowFile(path or self.path, self.form, self.kind, names, self.column)


def file_names(output: Path, layers: Sequence[str]) -> list[str]:
    """`feats.npy` for one layer, `feats.fc7.npy` and `feats.pool5.avg.npy` for several."""
    if len(layers) == 1:
        return [output.name]
    stem, suffix = output.stem, output.suffix
    return [f"{stem}.{layer.replace(':', '.')}{suffix}" for layer in layers]


def vectors_of(output: Path, about: Mapping[str, Any]) -> list[Vectors]:
    """The files that `feats.json` tells of, or that settings ask for."""
    written = form(about["format"])
    return [
        Vectors(
            output.with_name(layer["file"]),
            written,
            RowType(tuple(layer["shape"]), about["dtype"]),
            column,
        )
        for column, layer in enumerate(about["layers"])
    ]
