"""Reading back what `extract` wrote."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from vggfeat.errors import VggfeatError, describe_os_error
from vggfeat.sinks.published import Published, TornError, open_generation
from vggfeat.sinks.rows import checksum


class Features(NamedTuple):
    """Vectors and the paths of their images, row by row.

    Attributes:
        vectors: float32 `[n,4096]`, memory-mapped: rows are read when they are used.
        paths: the `n` paths, as they were given to `extract`.
    """

    vectors: NDArray[np.float32]
    paths: list[str]


def load_features(path: str | os.PathLike[str]) -> Features:
    """Open `feats.npy` and the index beside it, while a run replaces them too: all of one run.

    Raises:
        VggfeatError: one of them is missing or damaged, or they do not belong together.
    """
    file = Path(os.path.realpath(path))
    try:
        listed, vectors = open_generation(file, lambda listed: _vectors(path, file))
    except TornError as error:
        raise VggfeatError(f"{error}: extract again") from error
    _check(path, vectors, listed)
    return Features(vectors, [entry.name for entry in listed.entries])


def _vectors(path: str | os.PathLike[str], file: Path) -> NDArray[np.float32]:
    try:
        # Not numpy.load, which opens the file twice: the second may be another one already.
        with open(file, "rb") as opened:
            version = npy_format.read_magic(opened)
            if version != (1, 0):
                raise ValueError(f"version {version} of its header is not vggfeat's")
            shape, _, dtype = npy_format.read_array_header_1_0(opened)
            if dtype != np.float32:
                raise ValueError(f"it holds {dtype}")
            return np.memmap(opened, np.float32, "r", opened.tell(), shape)
    except OSError as error:
        raise VggfeatError(f"{path}: cannot be read: {describe_os_error(error)}") from error
    except ValueError as error:
        raise VggfeatError(f"{path}: no .npy file of vggfeat's ({error})") from error


def _check(path: str | os.PathLike[str], vectors: NDArray[Any], listed: Published) -> None:
    """See that the vectors are those that are listed, by their number, the first and the last."""
    rows = len(listed.entries)
    if len(vectors) != rows:
        raise VggfeatError(
            f"{path} has {len(vectors):,} rows, but {rows:,} are listed beside it: they are not of "
            "one run; extract again"
        )
    for row in {0, rows - 1} if rows else ():
        if checksum(vectors[row]) != listed.entries[row].crc32:
            raise VggfeatError(
                f"{path}: row {row} is not the one that is listed: they are not of one run; "
                "extract again"
            )
