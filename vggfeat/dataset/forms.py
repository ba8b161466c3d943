"""How parts are written and read again: one file a form, and the table that lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Protocol, cast

from vggfeat.dataset.folder import Folder
from vggfeat.dataset.part import Made
from vggfeat.errors import UsageError
from vggfeat.outcome import Failure, Numbers
from vggfeat.sinks import RowType
from vggfeat.sinks.index import Entry

PARQUET = "parquet"
FORMS = {PARQUET: "vggfeat.dataset.parquet", "npy": "vggfeat.dataset.npy"}
FAILED = "_failed"  # the folder of failures that are files of rows too

GROUP_BYTES = 1 << 24  # of rows that are written or read at once

SizeOf = Callable[[str], "int | None"]  # of a file in the folder; None where there is none
Layers = Sequence[tuple[str, RowType]]


class Old(Protocol):
    """A part that is there, as it was when it was opened, even if it is replaced.

    Attributes:
        number: of the part.
        made: what it tells of itself.
        entries: one for each row.
        failures: the images that have none.
    """

    number: int
    made: Made
    entries: list[Entry]
    failures: list[Failure]

    def features(self, row: int) -> tuple[Numbers, ...]:
        """A row, flat, of each layer. Cheap for rows in order."""

    def rest(self) -> None:
        """Keep no rows in memory until the next is asked for."""

    def close(self) -> None:
        """Let go of its files."""


class PartWriter(Protocol):
    """A part that is being written where nobody sees it."""

    def add(self, entries: Sequence[Entry], features: Sequence[Numbers]) -> None:
        """More rows: of each layer `[n, ...]`."""

    def publish(self, made: Made, failures: Sequence[Failure]) -> int:
        """Let it appear, in the place of an older one. Gives the bytes of its rows' files."""


class PartForm(Protocol):
    """A form of parts. Errors of the folder are VggfeatErrors.

    Attributes:
        TELLS: how the name of the file ends that tells of a part.
    """

    TELLS: str

    def nbytes(self, name: str, layers: Iterable[str], size_of: SizeOf) -> int:
        """How many the files of a part's rows have."""

    def made(self, folder: Folder, name: str, size_of: SizeOf) -> Made | None:
        """What a part tells of itself; None where it is not whole.

        Args:
            name: of the part, `part-00007`.
        """

    def is_foreign(self, folder: Folder, name: str, size_of: SizeOf) -> bool:
        """Whether another program has written what is at a part's place."""

    def open(self, folder: Folder, number: int, size_of: SizeOf) -> Old | None:
        """Its rows, each of which has been looked at; None where they are not whole.

        Its failures may be missing, if the part is not whole.
        """

    def write(
        self, folder: Folder, name: str, layers: Layers
    ) -> AbstractContextManager[PartWriter]:
        """Begin a new part. It is given up at the end of the block unless it is published."""

    def number(self, file: str) -> int | None:
        """Of the part that a file in the folder is of; None where it is of none."""


def form(name: str) -> PartForm:
    """The form of a name in the table."""
    return cast("PartForm", import_module(FORMS[name]))


def form_of(output: str, asked: str | None) -> str:
    """The name of the form that parts are to have.

    Raises:
        UsageError: there is no such form of parts.
    """
    name = asked or PARQUET
    if name not in FORMS:
        raise UsageError(
            f"{output}: the parts of a folder are {' or '.join(FORMS)}, not {name}: give --format "
            "one of those, or -o a file"
        )
    return name
