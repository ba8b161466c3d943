"""Reading back what `extract` wrote."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import VggfeatError, describe_os_error
from vggfeat.sinks import index


class Features(NamedTuple):
    """Vectors and the paths of their images, row by row.

    Attributes:
        vectors: float32 `[n,4096]`, memory-mapped: rows are read when they are used.
        paths: the `n` paths, as they were given to `extract`.
    """

    vectors: NDArray[np.float32]
    paths: list[str]


def load_features(path: str | os.PathLike[str]) -> Features:
    """Open `feats.npy` and the index beside it.

    Raises:
        VggfeatError: one of them is missing or damaged, or they do not belong together.
    """
    file = Path(os.path.realpath(path))
    try:
        vectors = np.load(file, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise VggfeatError(f"{path}: cannot be read: {describe_os_error(error)}") from error
    except ValueError as error:
        raise VggfeatError(f"{path}: no .npy file ({error})") from error
    index_path = index.beside(file).rows
    try:
        paths = list(index.paths(index_path))
    except OSError as error:
        raise VggfeatError(f"{index_path}: cannot be read: {describe_os_error(error)}") from error
    if len(paths) != len(vectors):
        raise VggfeatError(
            f"{path} has {len(vectors):,} rows, but {index_path.name} lists {len(paths):,}: "
            "they are not of one run; extract again"
        )
    return Features(vectors, paths)
