"""Near duplicates are those of float64, whatever the blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.search import brute
from tests.search.memory import peak_of
from vggfeat import VggfeatError
from vggfeat.search import duplicates
from vggfeat.search.duplicates import Group, groups, pairs

CLOSE = 1e-12
BLOCKS = st.sampled_from([1, 40, 100, 1 << 20])
THRESHOLDS = st.sampled_from([-0.9, 0.0, 0.3, 0.7, 0.99, 0.999999, 1.0])


def clear(expected: NDArray[np.float64], threshold: float) -> bool:
    """Whether no cosine is so near to the threshold that the order of a sum decides."""
    off = np.abs(expected - threshold)
    return bool(((off > CLOSE) | (off == 0)).all())


def grouped(expected: NDArray[np.float64], threshold: float) -> list[list[int]]:
    """The rule, row by row."""
    found: list[list[int]] = []
    for row in range(len(expected)):
        for group in found:
            if expected[group[0], row] >= threshold:
                group.append(row)
                break
        else:
            found.append([row])
    return [group for group in found if len(group) > 1]


@settings(max_examples=60, deadline=None)
@given(brute.galleries(), THRESHOLDS, BLOCKS)
def test_pairs_are_those_of_float64(
    vectors: NDArray[np.float32], threshold: float, block: int
) -> None:
    expected = brute.cosines(vectors, vectors)
    assume(clear(expected, threshold))
    found = pairs(vectors, threshold, block)
    listed = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    below = np.triu(expected >= threshold, 1)
    assert sorted(listed) == [tuple(pair) for pair in np.argwhere(below)]
    np.testing.assert_allclose(found.similarities, expected[found.first, found.second], atol=CLOSE)
    order = list(zip(-found.similarities, found.first, found.second, strict=True))
    assert order == sorted(order)


@settings(max_examples=60, deadline=None)
@given(brute.galleries(), THRESHOLDS, BLOCKS)
def test_groups_are_those_of_the_rule_in_float64(
    vectors: NDArray[np.float32], threshold: float, block: int
) -> None:
    expected = brute.cosines(vectors, vectors)
    assume(clear(expected, threshold))
    found = groups(vectors, threshold, block)
    assert [group.rows.tolist() for group in found] == grouped(expected, threshold)
    for rows, similarities in found:
        assert similarities[0] == 1
        np.testing.assert_allclose(similarities[1:], expected[rows[0], rows[1:]], atol=CLOSE)


@pytest.mark.parametrize("block", [1, 1 << 12, 1 << 20])
def test_threshold_1_finds_rows_that_are_equal_to_the_bit(block: int) -> None:
    vectors = np.random.default_rng(0).standard_normal((60, 100)).astype(np.float32)
    vectors[30:] = vectors[:30]
    found = pairs(vectors, 1.0, block)
    twins = [(row, row + 30) for row in range(30)]
    assert list(zip(found.first.tolist(), found.second.tolist(), strict=True)) == twins
    assert [tuple(group.rows.tolist()) for group in groups(vectors, 1.0, block)] == twins


def test_cosines_closer_to_the_threshold_than_float32_tells_are_on_the_right_side() -> None:
    vectors = brute.alike()
    expected = brute.cosines(vectors, vectors)
    ordered = np.sort(expected[np.triu_indices(len(vectors), 1)])
    for quantile in (0.1, 0.5, 0.9):
        below, above = ordered[int(quantile * len(ordered)) :][:2]
        threshold = (below + above) / 2
        found = pairs(vectors, threshold)
        assert sorted(zip(found.first.tolist(), found.second.tolist(), strict=True)) == [
            tuple(pair) for pair in np.argwhere(np.triu(expected >= threshold, 1))
        ]
        rows = [group.rows.tolist() for group in groups(vectors, threshold)]
        assert rows == grouped(expected, threshold)


@pytest.mark.parametrize("block", [1, 8, 16, 1 << 20])
def test_a_chain_is_cut_where_rows_are_not_like_the_first(block: int) -> None:
    """Directions at 0, 10, 20 ... degrees, each like the next one, but not like the one after."""
    angles = np.radians(10 * np.arange(7))
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    found = groups(vectors, float(np.cos(np.radians(12))), block)
    assert [group.rows.tolist() for group in found] == [[0, 1], [2, 3], [4, 5]]


def test_zero_rows_are_similar_to_nothing() -> None:
    vectors = np.zeros((4, 3), np.float32)
    vectors[3] = 1
    assert groups(vectors, 0.1) == []
    assert len(pairs(vectors, 0.1).first) == 0
    assert len(pairs(vectors, 0.0).first) == 6


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_maps_are_compared_as_vectors(dtype: type) -> None:
    maps = np.random.default_rng(0).standard_normal((9, 2, 3, 4)).astype(dtype)
    maps[7] = maps[2] * 2
    [found] = groups(maps, 0.999, block=1)
    assert found.rows.tolist() == [2, 7]


@pytest.mark.parametrize("rows", [0, 1])
def test_nothing_is_alike_where_nothing_is(rows: int) -> None:
    vectors = np.ones((rows, 3), np.float32)
    assert groups(vectors, 0.5) == []
    assert len(pairs(vectors, 0.5).first) == 0


def test_more_pairs_than_can_be_listed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "MOST_PAIRS", 44)
    ones = np.ones((10, 3), np.float32)
    with pytest.raises(VggfeatError, match="more than 44 pairs are that similar: .* --threshold"):
        pairs(ones, 0.5)
    assert len(pairs(ones[:9], 0.5).first) == 36
    assert [group.rows.tolist() for group in groups(ones, 0.5)] == [list(range(10))]


def test_memory_is_that_of_blocks(tmp_path: Path) -> None:
    """2 MB of rows, in blocks of 64 KB; one row in ten is a copy, nearly, of another."""
    vectors = np.lib.format.open_memmap(tmp_path / "v.npy", "w+", np.float32, (1_000, 512))
    generator = np.random.default_rng(0)
    vectors[:] = generator.standard_normal(vectors.shape, np.float32)
    copied = generator.permutation(500)[:100]
    vectors[900:] = vectors[copied] * 3 + generator.normal(0, 0.1, (100, 512))

    def find() -> list[Group]:
        return groups(vectors, 0.98, block=1 << 16)

    found, peak = peak_of(find)
    assert {tuple(group.rows.tolist()) for group in found} == set(
        zip(copied.tolist(), range(900, 1_000), strict=True)
    )
    assert peak < 1 << 19 < vectors.nbytes / 3
