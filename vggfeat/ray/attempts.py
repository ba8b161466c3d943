"""How often a part was begun on a node by a process that died.

Ray tries a part again as often as its actor dies, and as often as it does not reach it: the one
must have an end, the other not.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from vggfeat.dataset.part import part_name
from vggfeat.errors import VggfeatError

MOST = 4

_THIS_PROCESS = uuid.uuid4().hex


@contextlib.contextmanager
def attempt(folder: Path | None, run: str, number: int, most: int = MOST) -> Iterator[None]:
    """A block in which a part is computed.

    Args:
        folder: of this node, see `local`.
        run: its name.
        number: of the part.
        most: processes that may die within the block.

    Raises:
        VggfeatError: that many have.
    """
    if folder is None:
        yield
        return
    note = folder / f"{run}.{number}.attempts"
    with contextlib.suppress(OSError):
        begun = set(note.read_text().split()) - {_THIS_PROCESS} if note.exists() else set()
        if len(begun) >= most:
            note.unlink()
            raise VggfeatError(
                f"{part_name(number)}: {most} processes died over it, or a part beside it; perhaps "
                "the memory of the node does not suffice (--batch-size, --workers)"
            )
        with open(note, "a") as file:
            file.write(f"{_THIS_PROCESS}\n")
            file.flush()
            os.fsync(file.fileno())
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            note.unlink(missing_ok=True)
