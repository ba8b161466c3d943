"""Disk that is free where vggfeat writes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vggfeat.errors import WeightsError, describe_os_error
from vggfeat.weights import store


@dataclass(frozen=True)
class Disk:
    """A folder.

    Attributes:
        what: `store`, `temporary` or `current`.
        folder: its path; None where there is none.
        free: bytes; None where the system does not tell.
        writable: whether files can be made there, in a folder above it while it is not there.
        problem: why it cannot be looked at, in the system's words.
    """

    what: str
    folder: str | None
    free: int | None = None
    writable: bool = False
    problem: str | None = None


def look() -> list[Disk]:
    places: dict[str, Callable[[], str | Path]] = {
        "store": store.folder,
        "temporary": tempfile.gettempdir,
        "current": os.getcwd,
    }
    return [_look(what, place) for what, place in places.items()]


def _look(what: str, place: Callable[[], str | Path]) -> Disk:
    folder = None
    try:
        folder = os.path.abspath(place())
        there = _nearest(Path(folder))
        writable = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
        return Disk(what, folder, shutil.disk_usage(there).free, writable)
    except (OSError, WeightsError) as error:  # a folder that was deleted, a home that is unknown
        reason = describe_os_error(error) if isinstance(error, OSError) else str(error)
        return Disk(what, folder, problem=reason)


def _nearest(folder: Path) -> Path:
    """The folder, or the lowest one above it that is there."""
    return next((path for path in (folder, *folder.parents) if path.exists()), folder)
