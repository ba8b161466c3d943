"""An output and its companions as one generation, for who reads them.

`feats.json` holds the generation: sha256 over the index and the list of failures as they belong to
it; the index holds the checksum of each row. By the order in which a run replaces them, told in
`settle.py`, a reader that finds `feats.json` and the index fitting before and after it has opened
the vectors has one generation.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from vggfeat.errors import VggfeatError, describe_os_error
from vggfeat.outcome import Failure
from vggfeat.sinks import FORMS, form
from vggfeat.sinks.index import Entry, beside, entries, failures, read_about

_TOLD = {
    "generation": str, "format": str, "shape": list, "weights": dict, "preprocessing": dict,
    "versions": dict, "rows": int, "failed": int, "bytes": int, "began_ns": int, "runs": list,
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


def generation_of(output: Path) -> str | None:
    """The generation that `feats.json` tells of at the moment."""
    about = about_at(beside(output).about)
    return about["generation"] if about else None


def begins_as_told(output: Path, about: dict[str, Any]) -> bool:
    """Whether a file has the header of the output that `feats.json` tells of. Raises OSError."""
    with open(output, "rb") as file:
        return file.read(len(header_of(about))) == header_of(about)


def unfit(output: Path, about: dict[str, Any]) -> str | None:
    """Why the rows of an output cannot be kept, in words; None if they can.

    Raises:
        VggfeatError: something else is there in its place.
    """
    try:
        if not begins_as_told(output, about):
            raise VggfeatError(
                f"{output}: is not what vggfeat wrote there, so it is not replaced: move it away "
                "or choose another -o"
            )
        return f"{output} was cut short" if output.stat().st_size < about["bytes"] else None
    except FileNotFoundError:
        return f"{output} is missing"
    except OSError as error:
        raise VggfeatError(f"{output}: cannot be read: {describe_os_error(error)}") from error


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
    if about["format"] not in FORMS or not all(isinstance(side, int) for side in about["shape"]):
        raise ValueError("not what this version writes")
    return about


def content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
