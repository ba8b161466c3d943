"""What is done to rows after the network, against arithmetic in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from vggfeat.errors import UsageError, VggfeatError
from vggfeat.finish import Finish

Rows = NDArray[np.float32]
SHAPES = array_shapes(min_dims=2, max_dims=4, max_side=5)
MODERATE = arrays(np.float32, SHAPES, elements=st.floats(-6e4, 6e4, width=32))
ANY = arrays(np.float32, SHAPES, elements=st.floats(-(2.0**127), 2.0**127, width=32))


@given(rows=ANY)
def test_by_default_nothing_changes(rows: Rows) -> None:
    found = Finish()(rows)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, rows)


@given(rows=ANY)
def test_l2_gives_each_row_the_length_one(rows: Rows) -> None:
    found = Finish("l2")(rows)
    flat = rows.reshape(len(rows), -1).astype(np.longdouble)
    lengths = np.sqrt((flat**2).sum(axis=1, keepdims=True))
    expected = np.divide(flat, lengths, where=lengths > 0, out=np.zeros_like(flat))
    np.testing.assert_allclose(found.reshape(len(rows), -1), expected, rtol=2e-7, atol=1e-37)


@given(rows=ANY, dtype=st.sampled_from(["float32", "float16"]))
def test_no_bit_of_a_row_depends_on_the_others(rows: Rows, dtype: str) -> None:
    finish = Finish("l2", dtype)
    together = finish(rows)
    for row, expected in zip(rows, together, strict=True):
        np.testing.assert_array_equal(finish(row[None])[0], expected)


@given(rows=MODERATE)
def test_float16_is_the_nearest_number(rows: Rows) -> None:
    found = Finish(dtype="float16")(rows)
    assert found.dtype == np.float16
    error = np.abs(found.astype(np.float64) - rows)
    assert (error <= np.maximum(np.abs(rows) * 2.0**-11, 2.0**-25)).all()


def test_no_rows_give_no_rows() -> None:
    found = Finish("l2", "float16")(np.zeros((0, 3, 4), np.float32))
    assert (found.shape, found.dtype) == ((0, 3, 4), np.float16)


def test_float16_that_overflows_names_the_way_out() -> None:
    rows = np.float32([[1, 2], [3, -70000]])
    with pytest.raises(VggfeatError, match="up to 65504, .* 70000: take --normalize l2 or"):
        Finish(dtype="float16")(rows)
    assert np.isfinite(Finish("l2", "float16")(rows)).all()


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match="no norm 'l1'; there is l2"):
        Finish("l1")
    with pytest.raises(UsageError, match="no dtype 'int8'; there are float32, float16"):
        Finish(dtype="int8")
