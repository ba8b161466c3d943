"""How often something was begun on a node by a process that died.

Ray tries a part again as often as its actor dies, and as often as it does not reach it: the one
must have an end, the other not. So must an actor that dies whenever it starts.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from vggfeat.errors import VggfeatError

MOST = 4

_THIS_PROCESS = uuid.uuid4().hex


@contextlib.contextmanager
def attempt(folder: Path | None, name: str, died: str, most: int = MOST) -> Iterator[None]:
    """A block over which a process may die.

    Args:
        folder: of this node, see `local`.
        name: of what is tried, which only one living process has.
        died: what is said, after the number of processes, when it is given up.
        most: processes that may die within the block.

    Raises:
        VggfeatError: that many have.
    """
    if folder is None:
        yield
        return
    note = folder / f"{name}.attempts"
    with contextlib.suppress(OSError):
        begun = set(note.read_text().split()) - {_THIS_PROCESS} if note.exists() else set()
        if len(begun) >= most:
            note.unlink()
            raise VggfeatError(f"{most} processes {died}")
        with open(note, "a") as file:
            file.write(f"{_THIS_PROCESS}\n")
            file.flush()
            os.fsync(file.fileno())
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            note.unlink(missing_ok=True)
