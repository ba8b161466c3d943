"""Reading back what `extract` wrote."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vggfeat.address import is_address, shown
from vggfeat.errors import VggfeatError, describe_os_error
from vggfeat.preprocess import Preprocessing
from vggfeat.recipe import Recipe
from vggfeat.sinks.index import Entry, beside
from vggfeat.sinks.published import Published, TornError, about_at, open_generation, output_of
from vggfeat.sinks.rows import checksum
from vggfeat.sinks.vectors import vectors_of


class Features(NamedTuple):
    """Vectors and the paths of their images, row by row.

    Attributes:
        vectors: float32 `[n,4096]`, memory-mapped: rows are read when they are used (Parquet's are
            all read at once). Of a map `[n,h,w,c]`; float16 where that was asked for.
        paths: the `n` paths, as they were given to `extract`.
    """

    vectors: NDArray[np.float32]
    paths: list[str]


class Opened(NamedTuple):
    """Features and how to make such again.

    Attributes:
        vectors: float32 or float16 `[n,4096]`, or `[n,h,w,c]` of a map; as of `Features`.
        paths: the `n` paths, as they were given to `extract`.
        recipe: what a row was made by.
        entries: what the index tells of each row.
    """

    vectors: NDArray[np.float32]
    paths: list[str]
    recipe: Recipe
    entries: list[Entry]


def load_features(path: str | os.PathLike[str]) -> Features:
    """Open `feats.npy` and the index beside it, while a run replaces them too: all of one run.

    So `.safetensors`, `.npz`, `.h5` and `.parquet`.

    Raises:
        VggfeatError: one of them is missing or damaged, or they do not belong together.
    """
    opened = open_features(path)
    return Features(opened.vectors, opened.paths)


def open_features(path: str | os.PathLike[str]) -> Opened:
    """The same as `load_features`, with what the rows were made by. Raises as it does."""
    file = local_file(path)
    output = output_of(file)
    if not file.exists() and not beside(output).about.exists():
        raise VggfeatError(f"{path}: no such file")
    try:
        listed, vectors = open_generation(output, lambda listed: _mapped(file, output, listed))
    except TornError as error:
        raise VggfeatError(f"{error}: extract again") from error
    layer = _layer_in(file, listed.about)
    _check(path, vectors, listed, layer)
    names = [entry.name for entry in listed.entries]
    return Opened(vectors, names, recipe_of(listed.about, layer), listed.entries)


def local_file(path: str | os.PathLike[str]) -> Path:
    """Where an output is, past links.

    Raises:
        VggfeatError: it is none of a single file on this machine.
    """
    if is_address(name := os.fspath(path)):
        raise VggfeatError(
            f"{shown(name)}: is an address: copy it here, with what stands beside it"
        )
    if os.path.isdir(path):
        raise VggfeatError(
            f"{path}: is a folder: put its parts into one file, `vggfeat merge {path} -o feats.npy`"
        )
    return Path(os.path.realpath(path))


def is_output(path: str | os.PathLike[str]) -> bool:
    """Whether `extract` wrote a file, as far as what stands beside it tells."""
    output = output_of(Path(os.path.realpath(path)))
    return about_at(beside(output).about) is not None


def recipe_of(about: dict[str, Any], layer: int = 0) -> Recipe:
    """What `feats.json` tells that a row was made by.

    Args:
        layer: which of those that it tells of.
    """
    told = about["preprocessing"]
    normalize = about["normalize"]
    return Recipe(
        about["weights"]["fingerprint"],
        about["weights"].get("source", ""),
        about["layers"][layer]["layer"],
        Preprocessing(told["resize"], told["decode"] == "fast", told["crop"]),
        None if normalize == "none" else normalize,
    )


def _mapped(file: Path, output: Path, listed: Published) -> NDArray[np.float32]:
    """The rows as `feats.json` tells of them."""
    form = listed.about["format"]
    if form == "csv":
        raise VggfeatError(f"{file}: is csv, which is text: extract to .npy or another form")
    try:
        return vectors_of(output, listed.about)[_layer_in(file, listed.about)].load()
    except OSError as error:
        raise VggfeatError(f"{file}: cannot be read: {describe_os_error(error)}") from error
    except MemoryError as error:
        raise VggfeatError(
            f"{file}: is larger than memory, and .{form} cannot be mapped: extract to .npy"
        ) from error
    except ValueError as error:
        raise VggfeatError(f"{file}: no .{form} file of vggfeat's ({error})") from error


def _layer_in(file: Path, about: dict[str, Any]) -> int:
    """Which of the layers a file holds.

    Raises:
        VggfeatError: none, since each has a file of its own.
    """
    files = [layer["file"] for layer in about["layers"]]
    if file.name not in files:
        raise VggfeatError(
            f"{file}: there are several layers, each with a file: open {' or '.join(files)}"
        )
    return files.index(file.name)


def _check(
    path: str | os.PathLike[str], vectors: NDArray[Any], listed: Published, layer: int
) -> None:
    """See that the vectors are those that are listed, by their number, the first and the last."""
    rows = len(listed.entries)
    if len(vectors) != rows:
        raise VggfeatError(
            f"{path} has {len(vectors):,} rows, but {rows:,} are listed beside it: they are not of "
            "one run; extract again"
        )
    for row in {0, rows - 1} if rows else ():
        if checksum(vectors[row]) != listed.entries[row].crc32s[layer]:
            raise VggfeatError(
                f"{path}: row {row} is not the one that is listed: they are not of one run; "
                "extract again"
            )
