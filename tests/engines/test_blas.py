"""The number of BLAS threads, set and restored by batches that overlap."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import threadpoolctl

from vggfeat.engines.blas import Blas


def threads() -> int:
    pools = threadpoolctl.ThreadpoolController().select(user_api="blas").info()
    return max(pool["num_threads"] for pool in pools)


@pytest.fixture
def before() -> Iterator[int]:
    with threadpoolctl.threadpool_limits(2, "blas"):
        yield threads()


def test_overlapping_batches_leave_the_number_as_it_was(before: int) -> None:
    blas = Blas()
    one, other = blas.limited(1), blas.limited(1)
    one.__enter__()
    other.__enter__()
    assert threads() == 1
    one.__exit__(None, None, None)  # while the other is still at work
    assert threads() == 1
    other.__exit__(None, None, None)
    assert threads() == before


def test_a_batch_that_fails_restores_it_too(before: int) -> None:
    with pytest.raises(ZeroDivisionError), Blas().limited(1):
        raise ZeroDivisionError
    assert threads() == before


def test_a_smaller_number_that_the_user_has_set_stays() -> None:
    with threadpoolctl.threadpool_limits(1, "blas"):
        assert Blas().threads == 1
