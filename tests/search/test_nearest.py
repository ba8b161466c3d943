"""The nearest rows are those of float64, whatever the blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.search import brute
from tests.search.memory import peak_of
from vggfeat.search.nearest import nearest

CLOSE = 1e-12


@settings(max_examples=60, deadline=None)
@given(brute.galleries(), st.data())
def test_the_nearest_are_those_of_float64(
    vectors: NDArray[np.float32], data: st.DataObject
) -> None:
    """Equal similarities may be told apart by the last bit in one sum and not in another: what is
    compared is the similarity at each rank."""
    k = data.draw(st.integers(1, len(vectors) + 2))
    block = data.draw(st.sampled_from([1, 40, 100, 1 << 20]))
    expected = brute.cosines(vectors, vectors)
    for query, found in enumerate(nearest(vectors, vectors, k, block=block)):
        best = np.sort(expected[query])[::-1][:k]
        np.testing.assert_allclose(found.similarities, best, atol=CLOSE)
        np.testing.assert_allclose(expected[query][found.rows], found.similarities, atol=CLOSE)
        assert len(set(found.rows)) == len(found.rows) == min(k, len(vectors))


@pytest.mark.parametrize("block", [1, 100, 1 << 20])
def test_equal_rows_come_in_their_order_with_1_to_the_bit(block: int) -> None:
    for row in np.random.default_rng(0).standard_normal((20, 9)).astype(np.float32):
        vectors = np.stack([-row, row, np.zeros(9, np.float32), row, 4 * row, row])
        [found] = nearest(vectors, row[None], 5, block=block)
        assert found.rows.tolist() == [1, 3, 4, 5, 2]
        assert found.similarities.tolist() == [1, 1, 1, 1, 0]


def test_rows_that_are_closer_than_float32_tells_are_told_apart() -> None:
    vectors = brute.alike()
    expected = brute.cosines(vectors, vectors)
    for block in (1, 1 << 14, 1 << 26):
        for row, found in zip(expected, nearest(vectors, vectors, 5, block=block), strict=True):
            np.testing.assert_array_equal(found.rows, np.argsort(-row)[:5])


def test_rows_that_are_left_out_do_not_count() -> None:
    vectors = np.eye(4, dtype=np.float32) + 0.1
    left_out = [np.array([0, 3]), np.array([], int)]
    some, all_ = nearest(vectors, vectors[:2], 4, left_out, block=1)
    assert sorted(some.rows.tolist()) == [1, 2]
    assert len(all_.rows) == 4


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_maps_are_compared_as_vectors(dtype: type) -> None:
    maps = np.random.default_rng(0).standard_normal((6, 2, 3, 4)).astype(dtype)
    found = nearest(maps, maps[:3], 6, block=1)
    expected = brute.cosines(maps, maps[:3])
    for row, near in zip(expected, found, strict=True):
        np.testing.assert_array_equal(near.rows, np.argsort(-row))
        np.testing.assert_allclose(near.similarities, np.sort(row)[::-1], atol=CLOSE)


def test_memory_is_that_of_blocks(tmp_path: Path) -> None:
    vectors = np.lib.format.open_memmap(tmp_path / "v.npy", "w+", np.float32, (10_000, 256))
    vectors[:] = np.random.default_rng(0).standard_normal(vectors.shape, np.float32)
    queries = np.array(vectors[:3])
    found, peak = peak_of(lambda: nearest(vectors, queries, 10, block=1 << 18))
    assert [int(near.rows[0]) for near in found] == [0, 1, 2]
    assert peak < 2 << 20 < vectors.nbytes / 3
