"""The file that keeps its errors until HDF5 is done with it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

from vggfeat.exports.calm_file import CalmFile


class Failing(io.BytesIO):
    """A file with little room: one write fails, and those after it would not."""

    def __init__(self, room: int, error: Callable[[], BaseException]) -> None:
        super().__init__()
        self.room = room
        self.error = error

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self.room:
            self.room = 1 << 20
            raise self.error()
        return super().write(data)


def write(file: Failing) -> None:
    calm = CalmFile(file)
    with h5py.File(calm, "w") as root:
        for number in range(20):
            root[f"group{number}/numbers"] = np.full(1000, number, np.float32)
    calm.check()


@pytest.mark.parametrize("room", [0, 100, 3000, 50_000])
@pytest.mark.parametrize("error", [lambda: OSError(28, "full"), KeyboardInterrupt])
def test_an_error_comes_out_when_the_file_has_been_closed(room: int, error: Any) -> None:
    with pytest.raises(type(error())):
        write(Failing(room, error))


def test_nothing_is_written_after_an_error() -> None:
    file = Failing(10_000, lambda: OSError(28, "full"))
    with pytest.raises(OSError, match="full"):
        write(file)
    assert 0 < len(file.getvalue()) <= 10_000


def test_without_an_error_it_is_a_file_like_any_other() -> None:
    file = Failing(1 << 20, AssertionError)
    write(file)
    with h5py.File(io.BytesIO(file.getvalue())) as root:
        assert (root["group7/numbers"][()] == 7).all()
