"""Mapped weights that are given back and come again."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from vggfeat.weights.mapped import forget


@pytest.fixture
def mapped(tmp_path: Path) -> np.memmap[tuple[int], np.dtype[np.uint8]]:
    (tmp_path / "data").write_bytes(bytes(range(256)) * 40_000)
    return np.memmap(tmp_path / "data", np.uint8, "r")


def resident() -> int:
    """Bytes of files that this process holds in memory."""
    return int(Path("/proc/self/statm").read_text().split()[2]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_pages_leave_and_the_same_content_comes_back(
    mapped: np.memmap[tuple[int], np.dtype[np.uint8]],
) -> None:
    total = int(mapped.sum(dtype=np.int64))
    before = resident()
    forget(mapped[100:])
    assert before - resident() > 0.9 * mapped.nbytes
    assert int(mapped.sum(dtype=np.int64)) == total


def test_what_is_not_mapped_or_smaller_than_a_page_is_left_alone(
    mapped: np.memmap[tuple[int], np.dtype[np.uint8]],
) -> None:
    forget(np.arange(10))
    forget(mapped[5:105])
    assert mapped[5] == 5
