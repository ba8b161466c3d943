"""Where features go: one file a form, and the table that lists them.

A form is a module with `header(rows, shape)` and `encode(names, features)`; the file is the
one followed by the others. `HEADER_TELLS_ROWS` says that the header can be written last only.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from vggfeat.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vggfeat.outcome import Outcome

STDOUT = "-"


class Form(Protocol):
    """How features are written as bytes."""

    HEADER_TELLS_ROWS: bool

    def header(self, rows: int, shape: tuple[int, ...]) -> bytes:
        """The start of the file. Its length does not depend on `rows`."""

    def encode(self, names: Sequence[str], features: NDArray[np.float32]) -> bytes:
        """Rows of `features [n, *shape]`, with the names of their images where they belong."""


class Sink(Protocol):
    """Where the outcomes of a run are written, in order."""

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Add the outcomes of a batch."""

    def publish(self, about: dict[str, object]) -> None:
        """Make the whole output appear. `about` says what made it."""

    def keep(self) -> str | None:
        """End early; say what is kept of the work, None where nothing is."""


FORMS = {"npy": "vggfeat.sinks.npy", "csv": "vggfeat.sinks.csv"}


def form(name: str) -> Form:
    """The form of a name in the table."""
    return cast("Form", import_module(FORMS[name]))


def form_of(output: str, asked: str | None = None) -> str:
    """The name of the form an output is to have: as asked, else by its suffix, `csv` on stdout.

    Raises:
        UsageError: neither says it.
    """
    name = asked or ("csv" if output == STDOUT else Path(output).suffix[1:].lower())
    if name not in FORMS:
        raise UsageError(
            f"{output}: the name does not say which format to write: end it in "
            f"{' or '.join('.' + known for known in FORMS)}, or add --format"
        )
    return name
