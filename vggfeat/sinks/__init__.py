"""Where features go: one file a form, and the tables that list them.

There are two kinds of forms. Those that can be written as a stream are modules with the functions
of `Form`: the file is its header followed by its rows, and a row is its prefix followed by its
numbers. Containers have those of `containers.Container`: a library writes them, whole.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol, cast

from vggfeat.errors import UsageError

if TYPE_CHECKING:
    import mmap

    import numpy as np
    from numpy.typing import NDArray

    from vggfeat.outcome import Failure, Numbers, Outcome
    from vggfeat.sinks.known import Kept, Known
    from vggfeat.sinks.published import Published

STDOUT = "-"


class RowType(NamedTuple):
    """What a row is.

    Attributes:
        shape: of one image's features.
        dtype: of them, `float32` or `float16`.
        name: of the layer, as files name a column or an array of it: `pool5.avg`.
        made: the settings that it depends on, as JSON, for files that have room to tell them.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    name: str = "features"
    made: str = "{}"

    @property
    def little(self) -> str:
        """The dtype as files keep it: little-endian, in NumPy's letters."""
        return {"float32": "<f4", "float16": "<f2"}[self.dtype]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * int(self.little[-1])


class Form(Protocol):
    """How features are written as a stream of bytes.

    Attributes:
        HEADER_TELLS_ROWS: the header can be written last only.
        GROWS: rows behind those that the header tells do not count, so that more can be put there
            while others read.
    """

    HEADER_TELLS_ROWS: bool
    GROWS: bool

    def header(self, rows: int, kind: RowType) -> bytes:
        """The start of the file. Its length does not depend on `rows`."""

    def encode(self, names: Sequence[str], features: Numbers) -> bytes:
        """Rows of `features [n, *shape]`, with the names of their images where they belong."""

    def prefix(self, name: str) -> bytes:
        """What stands before the numbers of a row."""

    def locate(
        self, data: mmap.mmap | bytes, names: Sequence[str], kind: RowType
    ) -> NDArray[np.int64]:
        """Where the rows of these names are: `[n,3]` of begin, begin of the numbers, and end.

        Ends before the first one that is not whole, or not of that name.
        """

    def numbers(self, data: bytes, kind: RowType) -> Numbers:
        """The numbers of one row, flat."""

    def load(self, file: BinaryIO, kind: RowType) -> Numbers:
        """All rows `[n, *shape]`, mapped where they can be. Raises ValueError: it is no such file.

        Forms of text have no such function.
        """


class Sink(Protocol):
    """Where the outcomes of a run are written, in order.

    Attributes:
        known: what earlier runs have made, as far as it counts.
        contents: sha256 of all files whose rows are there; None where that is of no use.
        resumed: how many rows are there from a run that was cut off.
        before: the generation that is there.
    """

    known: Known
    resumed: int

    @property
    def contents(self) -> Container[str] | None: ...

    @property
    def before(self) -> Published | None: ...

    def write(self, outcomes: Sequence[Outcome]) -> list[Kept | Failure]:
        """Add the outcomes of a batch; say where they are now."""

    def publish(self, done: Sequence[Kept | Failure], about: dict[str, Any]) -> None:
        """Make the whole output appear.

        Args:
            done: what has become of each image, in the order of the rows.
            about: what `feats.json` is to tell beside the settings.
        """

    def keep(self) -> str | None:
        """End early; say what is kept of the work, None where nothing is."""


STREAMS = {
    "npy": "vggfeat.sinks.npy",
    "csv": "vggfeat.sinks.csv",
    "safetensors": "vggfeat.sinks.safetensors",
}
CONTAINERS = {
    "parquet": "vggfeat.sinks.parquet",
    "h5": "vggfeat.sinks.h5",
    "npz": "vggfeat.sinks.npz",
}
FORMS = (*STREAMS, *CONTAINERS)


def form(name: str) -> Form:
    """The form in which rows are written as they come: of a container, before it is made."""
    return cast("Form", import_module(STREAMS.get(name, STREAMS["npy"])))


def form_of(output: str, asked: str | None = None) -> str:
    """The name of the form an output is to have: as asked, else by its suffix, `csv` on stdout.

    Raises:
        UsageError: neither says it, or stdout cannot have it.
    """
    name = asked or ("csv" if output == STDOUT else Path(output).suffix[1:].lower())
    if name not in FORMS:
        raise UsageError(
            f"{output}: the name does not say which format to write: end it in "
            f"{_listed(f'.{known}' for known in FORMS)}, or add --format"
        )
    if output == STDOUT and name in CONTAINERS:
        raise UsageError(
            f"{name} is not written front to back: give -o a name, or take --format "
            f"{_listed(STREAMS)} for stdout"
        )
    return name


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"
