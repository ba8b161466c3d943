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
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from vggfeat.errors import VggfeatError, describe_os_error
from vggfeat.outcome import DTYPES, Failure
from vggfeat.sinks import FORMS
from vggfeat.sinks.index import Entry, beside, entries, failures, read_about

A = TypeVar("A")

_PATIENCE = 2.0  # seconds, for a run that is publishing at the moment
_LOOK_AGAIN = 0.02
_MOST = 1 << 31  # of the numbers in a shape, and of pixels

_TOLD = {
    "output": str, "generation": str, "format": str, "dtype": str, "normalize": str,
    "weights": dict, "preprocessing": dict, "layers": list, "engine": str,
    "versions": dict, "rows": int, "failed": int, "began_ns": int, "runs": list,
}  # fmt: skip
_TOLD_OF_LAYER = {"layer": str, "file": str, "shape": list, "bytes": int, "mtime_ns": int}


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


def replaced_by(about: dict[str, Any]) -> list[str]:
    """The files that the last run took away: those of layers that were not asked for any more."""
    runs = about["runs"]
    return list(runs[-1].get("replaced", [])) if runs and isinstance(runs[-1], dict) else []


def output_of(file: Path) -> Path:
    """The output that a file of rows belongs to: `feats.npy` of `feats.pool5.avg.npy`.

    The file itself where no companions tell of it.
    """
    parts = file.name.split(".")
    for length in range(len(parts), 0, -1):
        about = about_at(file.with_name(".".join(parts[:length]) + ".json"))
        if about is not None and file.name in [layer["file"] for layer in about["layers"]]:
            return file.with_name(about["output"])
    return file


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
            opened = _opened(published, opener, output)
            if opened and _is_there(published, output):
                return published, opened[0]
        except TornError:
            if time.monotonic() > until:
                raise
        time.sleep(_LOOK_AGAIN)


def _opened(
    published: Published, opener: Callable[[Published], A], output: Path
) -> tuple[A] | None:
    """What the opener gives; None where it fails at the vectors of a later generation."""
    try:
        return (opener(published),)
    except TornError:
        raise
    except VggfeatError:
        if _is_there(published, output):
            raise
        return None


def _is_there(published: Published, output: Path) -> bool:
    """Whether no later generation is published, or about to be."""
    about = about_at(beside(output).about)
    return about is not None and about["generation"] == published.about["generation"]


def about_at(path: Path) -> dict[str, Any] | None:
    """What is told of an output; None where there is nothing, or nothing that can be used."""
    try:
        return usable(read_about(path))
    except FileNotFoundError:
        return None


def usable(about: dict[str, Any] | None) -> dict[str, Any] | None:
    """What is told of an output; None where it is not all that this version tells."""
    try:
        return _checked(about)
    except ValueError:
        return None


def _checked(about: dict[str, Any] | None) -> dict[str, Any]:
    """Raises ValueError where something is missing."""
    if about is None or not _tells(about, _TOLD):
        raise ValueError("not what vggfeat writes")
    layers, pixels = about["layers"], about["preprocessing"]
    if (
        not layers
        or not all(_tells(layer, _TOLD_OF_LAYER) for layer in layers)
        or not _tells(about["weights"], {"fingerprint": str})
        or not _tells(pixels, {"decode": str, "resize": int, "crop": int})
    ):
        raise ValueError("not what vggfeat writes")
    numbers = (pixels["resize"], pixels["crop"], *chain(*(layer["shape"] for layer in layers)))
    names = [about["output"], *replaced_by(about), *(layer["file"] for layer in layers)]
    if (
        about["format"] not in FORMS
        or about["dtype"] not in DTYPES
        or not all(isinstance(number, int) and 0 < number < _MOST for number in numbers)
        or any(not isinstance(name, str) or Path(name).name != name for name in names)
    ):
        raise ValueError("not what this version writes")
    return about


def _tells(told: Any, kinds: dict[str, type]) -> bool:
    return isinstance(told, dict) and all(isinstance(told.get(k), t) for k, t in kinds.items())


def content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
