"""Features with their labels, row by row: what a head is fitted on and judged by."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import VggfeatError
from vggfeat.features import open_features
from vggfeat.head import labels
from vggfeat.recipe import Recipe


class Labelled(NamedTuple):
    """The rows that have a label.

    Attributes:
        vectors: float32 or float16 `[n,...]`; memory-mapped where all rows have a label.
        labels: one for each.
        paths: likewise, of the pictures.
        contents: sha256 of each picture's file.
        recipe: what the vectors were made by.
    """

    vectors: NDArray[Any]
    labels: list[str]
    paths: list[str]
    contents: list[str]
    recipe: Recipe


def labelled(
    features: str | os.PathLike[str],
    labels_file: str | os.PathLike[str] | None,
    on_note: Callable[[str], None],
) -> Labelled:
    """Open features, and give them the labels of a CSV file, or of their folders if there is none.

    Args:
        on_note: told how many rows have no label, and how many labels no row.

    Raises:
        VggfeatError: one of the files cannot be read, or no row has a label.
    """
    vectors, paths, recipe, entries = open_features(features)
    contents = [entry.sha256 for entry in entries]
    if labels_file is None:
        of_row, unknown = labels.from_folders(paths)
    else:
        of_row, unknown = labels.from_csv(labels_file, paths)
    rows = [row for row, label in enumerate(of_row) if label]
    if unknown:
        on_note(f"{unknown:,} labels are of pictures that have no row in {features}")
    if not rows:
        raise VggfeatError(f"{features}: no row has a label")
    if len(rows) == len(paths):
        return Labelled(vectors, of_row, paths, contents, recipe)
    on_note(f"{len(paths) - len(rows):,} rows of {features} have no label and are left out")

    def some(column: list[str]) -> list[str]:
        return [column[row] for row in rows]

    return Labelled(vectors[rows], some(of_row), some(paths), some(contents), recipe)


def fingers(contents: Sequence[str]) -> NDArray[np.uint64]:
    """The first eight bytes of each sha256, as a big-endian number: uint64 `[n]`."""
    return np.array([int(sha256[:16], 16) for sha256 in contents], np.uint64)
