"""The folds of cross-validation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vggfeat import VggfeatError
from vggfeat.head.folds import folds

CLASSES = ("a", "b", "c")
ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), min_size=6, max_size=60)


@given(rows=ROWS)
@settings(max_examples=150, deadline=None)
def test_equal_pictures_stay_together_and_no_class_is_missing(rows: list[tuple[int, int]]) -> None:
    y = np.array([row[0] for row in rows])
    contents = [str(row[1]) for row in rows]
    pictures = [{row[1] for row in rows if row[0] == k} for k in range(3)]
    if min(map(len, pictures)) < 2:
        with pytest.raises(VggfeatError, match="two different pictures of each class"):
            folds(y, contents, CLASSES, 5, seed=0)
        return
    if sum(map(len, pictures)) > len(set.union(*pictures)):
        contents = [f"{row[0]} {row[1]}" for row in rows]
    fold_of = folds(y, contents, CLASSES, 5, seed=0)
    assert 2 <= len(set(fold_of)) <= 5
    for content in set(contents):
        assert len({fold for fold, c in zip(fold_of, contents, strict=True) if c == content}) == 1
    for fold in set(fold_of):
        assert set(y[fold_of != fold]) == {0, 1, 2}


def test_each_class_is_spread_evenly() -> None:
    y = np.repeat([0, 1, 2], [50, 20, 7])
    fold_of = folds(y, [str(row) for row in range(77)], CLASSES, 5, seed=0)
    counts = np.array(
        [[np.sum((fold_of == fold) & (y == k)) for k in range(3)] for fold in range(5)]
    )
    assert (np.ptp(counts, axis=0) <= 1).all()
    other = folds(y, [str(row) for row in range(77)], CLASSES, 5, seed=1)
    assert (fold_of != other).any()


def test_a_rare_class_does_not_cost_the_others_their_folds() -> None:
    y = np.repeat([0, 1, 2], [20, 20, 2])
    assert len(set(folds(y, [str(row) for row in range(42)], CLASSES, 5, seed=0))) == 5


def test_a_class_of_one_picture_is_told() -> None:
    y = np.array([0, 0, 1, 1, 1, 2, 2])
    with pytest.raises(VggfeatError, match="two different pictures .* of b, c there is one"):
        folds(y, ["1", "2", "3", "3", "3", "4", "4"], CLASSES, 5, seed=0)


def test_a_picture_under_several_labels_stays_in_one_fold() -> None:
    y = np.array([0, 1] + 10 * [0] + 10 * [1])
    fold_of = folds(y, ["same", "same", *map(str, range(20))], CLASSES[:2], 5, seed=0)
    assert fold_of[0] == fold_of[1]
    # Two pictures are all that the second class has, and at last they fall into one fold.
    y = np.repeat([0, 1], [12, 2])
    contents = [*map(str, range(12)), "0", "1"]

    def divide() -> None:
        for seed in range(1000):
            folds(y, contents, CLASSES[:2], 5, seed)

    with pytest.raises(VggfeatError, match="under several labels leave too few"):
        divide()
