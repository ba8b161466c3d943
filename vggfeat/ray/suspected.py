"""Images that may have killed an actor, noted where the next one on the same node finds them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from vggfeat.suspects import Suspects

_MOST_ACTORS = 1024  # of a node
_SLOT = 4096  # bytes of a name in such a file


@contextlib.contextmanager
def suspects(folder: Path | None) -> Iterator[Suspects]:
    """Those of one actor.

    Each has a file of its own, the first that no living one uses, and suspects what is in all of
    them: an actor that comes back need not find the file that it had before.

    Args:
        folder: of this node, see `local`.
    """
    with contextlib.ExitStack() as held:
        path = None
        if folder is not None:
            with contextlib.suppress(OSError, NotImplementedError):  # without locks nobody has one
                path = _taken(folder, held)
        found = Suspects(path)
        if folder is not None:
            found.names |= _names(folder)
        decided = False
        try:
            yield found
            decided = True
        finally:
            found.close(decided=decided)


def _taken(folder: Path, held: contextlib.ExitStack) -> Path | None:
    for number in range(_MOST_ACTORS):
        with contextlib.suppress(Timeout):
            held.enter_context(FileLock(folder / f"{number}.lock", timeout=0))
            return folder / f"{number}.decoding"
    return None


def _names(folder: Path) -> frozenset[str]:
    """What all files of a folder name."""
    names: set[str] = set()
    for path in folder.glob("*.decoding"):
        with contextlib.suppress(OSError):
            names |= _noted(path.read_bytes())
    return frozenset(names)


def _noted(content: bytes) -> set[str]:
    slots = (content[at : at + _SLOT] for at in range(0, len(content), _SLOT))
    names = (slot.partition(b"\0")[0] for slot in slots)
    return {os.fsdecode(name) for name in names if name}
