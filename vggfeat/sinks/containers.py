"""Forms that a library writes as a whole file, which holds the paths as well."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from importlib import import_module
from typing import BinaryIO, Protocol, cast

from vggfeat.outcome import Numbers
from vggfeat.sinks import CONTAINERS, RowType
from vggfeat.sinks.index import Entry


class Container(Protocol):
    """How features, and what else it holds of each image, are written as a file by a library.

    What a run has computed waits as rows of an .npy file for it.

    Attributes:
        MAGIC: what the file begins with.
    """

    MAGIC: bytes

    def key(self, entry: Entry) -> Hashable:
        """What the file holds of an image beside its features."""

    def write(
        self, file: BinaryIO, entries: Sequence[Entry], rows: Iterable[Numbers], kind: RowType
    ) -> None:
        """Write a whole file, a bounded number of `rows`, flat or not, at a time."""

    def keys(self, file: BinaryIO, kind: RowType) -> Iterator[Hashable]:
        """Of each row. Raises as `rows` does."""

    def rows(self, file: BinaryIO, kind: RowType) -> Rows:
        """The rows, to be read one by one while the file is open.

        Raises:
            CutError: it is no whole file.
            ValueError: what it holds is something else.
            OSError: it cannot be read.
        """

    def load(self, file: BinaryIO, kind: RowType) -> Numbers:
        """All rows `[n, *shape]`, mapped where they can be. Raises as `rows` does."""


class CutError(ValueError):
    """A file that ends too early, or that its library cannot open for another reason."""


class Rows(Protocol):
    """Rows of a container."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> Numbers:
        """The numbers of a row. Raises ValueError where they are damaged."""


def container(name: str) -> Container | None:
    """The container of a name in the table; None of a stream."""
    return cast("Container", import_module(CONTAINERS[name])) if name in CONTAINERS else None
