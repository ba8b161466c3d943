"""The files of rows of an output: one for each layer, side by side over one index."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vggfeat.outcome import Numbers
from vggfeat.sinks import Form, RowType, form
from vggfeat.sinks.containers import Container, CutError, container
from vggfeat.sinks.index import Entry
from vggfeat.sinks.rows import RowFile, Rows, RowsWithin

# Of the settings, what a file that has room for it tells of its rows.
_MADE = ("weights", "preprocessing", "normalize", "engine", "precision")


class Vectors(NamedTuple):
    """A file of rows.

    Attributes:
        path: where it is published.
        form: how rows are written as they come.
        container: what they are put into when all are there; None where they are the file.
        kind: what its rows are.
        column: which of an entry's checksums are those of its rows.
    """

    path: Path
    form: Form
    container: Container | None
    kind: RowType
    column: int

    @property
    def grows(self) -> bool:
        """Whether rows can be added to it where it is."""
        return self.container is None and self.form.GROWS

    def header(self, rows: int) -> bytes:
        """What a file of rows begins with that is none of a container."""
        return self.form.header(rows, self.kind)

    def start(self, rows: int) -> bytes:
        """What the file begins with, if it holds so many rows."""
        return self.container.MAGIC if self.container else self.header(rows)

    def begins_as_told(self, rows: int) -> bool:
        """Whether it begins as a file of so many rows. Raises OSError."""
        start = self.start(rows)
        with open(self.path, "rb") as file:
            return file.read(len(start)) == start

    def holds(self, rows: int) -> bool:
        """Whether it is whole, as far as its header or its library tells, with so many rows.

        Raises:
            CutError: its library cannot open it.
            OSError: it cannot be read.
        """
        if not self.begins_as_told(rows):
            return False
        if self.container is None:
            return True
        try:
            with open(self.path, "rb") as file:
                return len(self.container.rows(file, self.kind)) == rows
        except CutError:
            raise
        except ValueError:
            return False

    def key(self, entry: Entry) -> Hashable:
        """What the file holds of an image beside its features."""
        return self.container.key(entry) if self.container else self.form.prefix(entry.name)

    def open(self, entries: Sequence[Entry]) -> Rows:
        """The rows of these images, to be read.

        Raises:
            ValueError: it is no such file.
            OSError: it cannot be read.
        """
        if self.container is None:
            return self.open_rows(entries, self.path)
        return RowsWithin(self.path, self.container, self.kind, entries, self.column)

    def open_rows(self, entries: Sequence[Entry], path: Path) -> RowFile:
        """The same of a file that is none of a container. Raises OSError."""
        return RowFile(path, self.form, self.kind, [entry.name for entry in entries], self.column)

    def load(self) -> Numbers:
        """All rows `[n, *shape]`, mapped where they can be. Raises as `open` does."""
        with open(self.path, "rb") as file:
            return (self.container or self.form).load(file, self.kind)


def file_names(output: Path, layers: Sequence[str]) -> list[str]:
    """`feats.npy` for one layer, `feats.fc7.npy` and `feats.pool5.avg.npy` for several."""
    if len(layers) == 1:
        return [output.name]
    stem, suffix = output.stem, output.suffix
    return [f"{stem}.{layer.replace(':', '.')}{suffix}" for layer in layers]


def vectors_of(output: Path, about: Mapping[str, Any]) -> list[Vectors]:
    """The files that `feats.json` tells of, or that settings ask for."""
    written, within = form(about["format"]), container(about["format"])
    made = {name: about[name] for name in _MADE if name in about}
    made["weights"] = made["weights"]["fingerprint"]
    return [
        Vectors(
            output.with_name(layer["file"]),
            written,
            within,
            RowType(
                tuple(layer["shape"]),
                about["dtype"],
                layer["layer"].replace(":", "."),
                json.dumps({"layer": layer["layer"], **made}),
            ),
            column,
        )
        for column, layer in enumerate(about["layers"])
    ]
