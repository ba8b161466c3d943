"""Which rows are tried together in cross-validation."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from vggfeat.errors import VggfeatError


def folds(
    y: NDArray[np.int64], contents: Sequence[str], classes: Sequence[str], most: int, seed: int
) -> NDArray[np.int64]:
    """The number of a fold for each row, with all classes in about the same parts in each.

    Pictures of the same content are in the same fold: a head that has seen one knows the other.
    Whatever fold is left out, all classes are in the others.

    Args:
        y: class of each row.
        contents: of each row, the same for the same picture.
        classes: their names.
        most: folds that are made, if there are pictures for so many.

    Raises:
        VggfeatError: there is no such division; says of which class there are too few pictures.
    """
    _, first, picture = np.unique(np.asarray(contents), return_index=True, return_inverse=True)
    few = [name for k, name in enumerate(classes) if len(set(picture[y == k])) < 2]
    if few:
        names = ", ".join(few[:3]) + (f" and {len(few) - 3:,} more" if len(few) > 3 else "")
        raise VggfeatError(
            f"two different pictures of each class are the least, and of {names} there is one: "
            "add some, or leave that label away"
        )
    for count in range(min(most, int(np.bincount(y[first]).max())), 1, -1):
        splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
        fold_of = np.empty(len(first), np.int64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes with fewer pictures than folds
            for fold, (_, tried) in enumerate(splitter.split(first, y[first])):
                fold_of[tried] = fold
        of_row = fold_of[picture]
        if all(len(set(y[of_row != fold])) == len(classes) for fold in range(count)):
            return of_row
    raise VggfeatError(
        "pictures that are there under several labels leave too few for cross-validation: "
        "give each one label"
    )
