"""An output and its companions as one generation, for who reads them.

`feats.json` holds the generation: sha256 over the index and the list of failures as they belong to
it; the index holds the checksum of each row. By the order in which a run replaces them, told in
`settle.py`, a reader that finds `feats.json` and the index fitting before and after it has opened
the vectors has one generation.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from vggfeat.errors import VggfeatError, describe_os_error
from vggfeat.outcome import Failure
from vggfeat.sinks import FORMS, form
from vggfeat.sinks.index import Entry, beside, entries, failures, read_about
from vggfeat.sinks.rows import RowFile

A = TypeVar("A")

_PATIENCE = 2.0  # seconds, for a run that is publishing at the moment
_LOOK_AGAIN = 0.02

_TOLD = {
    "generation": str, "format": str, "shape": list, "weights": dict, "preprocessing": dict,
    "layer": str, "engine": str, "versions": dict, "rows": int, "failed": int, "bytes": int,
    "began_ns": int, "mtime_ns": int, "runs": list,
}  # fmt: skip


class Published(NamedTuple):
    """What the companions of an output tell of it.

    Attributes:
        about: the content of `feats.json`.
        entries: one for each row.
        failures: images that have none.
    """

    about: dict[str, Any]
    entries: list[Entry]
    failures: list[Failure]


class TornError(VggfeatError):
    """An output and its companions are not of one run."""


def generation(index: bytes, failed: bytes) -> str:
    return hashlib.sha256(index + failed).hexdigest()


def read(output: Path) -> Published | None:
    """What is published at a place; None where nothing is. It does not look at the vectors.

    Raises:
        TornError: the companions do not belong together. They do not either for the moment in
            which a run publishes.
        VggfeatError: one of them cannot be read.
    """
    about_path, index_path, failed_path = beside(output)
    try:
        about = _checked(read_about(about_path))
        index, failed = index_path.read_bytes(), content(failed_path)
        if generation(index, failed) != about["generation"]:
            raise ValueError("not of one run")
        return Published(about, list(entries(index)), list(failures(failed)) if failed else [])
    except FileNotFoundError as error:
        if error.filename == str(about_path):
            return None
        raise TornError(f"{index_path} is missing") from error
    except OSError as error:
        raise VggfeatError(
            f"{error.filename}: cannot be read: {describe_os_error(error)}"
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise TornError(f"{index_path} and {about_path.name} do not belong together") from error


def open_generation(output: Path, opener: Callable[[Published], A]) -> tuple[Published, A]:
    """What is published, and its vectors, of one generation while a run replaces them too.

    Args:
        opener: opens the vectors. It may raise TornError for those of another generation.

    Raises:
        TornError: the files do not belong together, and no run is about to change that.
        VggfeatError: there is no output of vggfeat's, or it cannot be read.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            published = read(output)
            if published is None:
                raise VggfeatError(
                    f"{output}: there is no {beside(output).about.name} beside it: vggfeat did not "
                    "write it, or its companions were left behind"
                )
            opened = opener(published)
            about = about_at(beside(output).about)
            if about is not None and about["generation"] == published.about["generation"]:
                return published, opened
        except TornError:
            if time.monotonic() > until:
                raise
        time.sleep(_LOOK_AGAIN)


def begins_as_told(output: Path, about: dict[str, Any]) -> bool:
    """Whether a file has the header of the output that `feats.json` tells of. Raises OSError."""
    with open(output, "rb") as file:
        return file.read(len(header_of(about))) == header_of(about)


def unfit(output: Path, published: Published) -> str | None:
    """Why the rows of an output cannot be kept, in words; None if they can.

    Raises:
        VggfeatError: something else is there in its place.
    """
    about = published.about
    try:
        info = output.stat()
        header = header_of(about)
        if info.st_size < len(header) and header.startswith(output.read_bytes()):
            return f"{output} was cut short"
        if not begins_as_told(output, about):
            raise VggfeatError(
                f"{output}: is not what vggfeat wrote there, so it is not replaced: move it away "
                "or choose another -o"
            )
        if info.st_size < about["bytes"]:
            return f"{output} was cut short"
        # Touched by others, copied, or put back from elsewhere: each row is looked at.
        if info.st_mtime_ns != about["mtime_ns"] and not _is_intact(output, published):
            return f"rows of {output} are not those that are listed"
        return None
    except FileNotFoundError:
        return f"{output} is missing"
    except OSError as error:
        raise VggfeatError(f"{output}: cannot be read: {describe_os_error(error)}") from error


def _is_intact(output: Path, published: Published) -> bool:
    about, entries, _ = published
    names = [entry.name for entry in entries]
    rows = RowFile(output, form(about["format"]), tuple(about["shape"]), names)
    with closing(rows):
        return rows.intact(entries) == len(entries)


def header_of(about: dict[str, Any]) -> bytes:
    return form(about["format"]).header(about["rows"], tuple(about["shape"]))


def about_at(path: Path) -> dict[str, Any] | None:
    """What is told of an output; None where there is nothing, or nothing that can be used."""
    try:
        return _checked(read_about(path))
    except (FileNotFoundError, ValueError):
        return None


def _checked(about: dict[str, Any] | None) -> dict[str, Any]:
    """Raises ValueError where something is missing."""
    if about is None or any(not isinstance(about.get(name), kind) for name, kind in _TOLD.items()):
        raise ValueError("not what vggfeat writes")
    numbers = (about["preprocessing"].get("resize"), *about["shape"])
    if about["format"] not in FORMS or not all(isinstance(number, int) for number in numbers):
        raise ValueError("not what this version writes")
    return about


def content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
