"""HDF5 files, their numbers mapped: the library itself never runs in this process.

`survey` says why, and finds out in a process of its own, within a quarter of a second, what
lies where. What is contiguous, as Keras writes it, is then mapped where it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vggfeat import limited
from vggfeat.errors import WeightsError
from vggfeat.weights.formats.containers.hdf5 import survey
from vggfeat.weights.formats.containers.hdf5.chunks import Chunk, chunked
from vggfeat.weights.tensors import Tensor, mapped

MAGIC = b"\x89HDF\r\n\x1a\n"

_PATIENCE = 60  # seconds that a survey may take, the start of Python on a busy machine included
_CRASHED = "damaged: the HDF5 library cannot read it"


@dataclass(frozen=True)
class Hdf5:
    """The content of a file.

    Attributes:
        groups: the attributes of all groups by path (`""` of the root), each a list of texts.
        datasets: what was found of each, by path.
    """

    groups: Mapping[str, Mapping[str, list[str]]]
    datasets: Mapping[str, Mapping[str, Any]]
    _data: NDArray[np.uint8]

    def tensor(self, path: str) -> Tensor:
        """A dataset. Raises WeightsError: it is not there, or its numbers are not."""
        found = self.datasets.get(path)
        if found is None:
            raise WeightsError(f"damaged: it has no {path[-80:]}")
        if "error" in found:
            raise WeightsError(f"{path[-80:]}: {found['error']}")
        shape = tuple(int(side) for side in found["shape"])
        dtype = np.dtype(found["dtype"])
        if "chunks" in found:
            chunks = [Chunk(tuple(place), *rest) for place, *rest in found["chunks"]]
            sides = tuple(found["chunk"])
            return chunked(self._data, shape, dtype, sides, found["filters"], chunks)
        if found["at"] is None:
            raise WeightsError(f"damaged: the numbers of {path[-80:]} were never written")
        return mapped(self._data, found["at"], shape, dtype)

    def attribute(self, path: str, name: str) -> list[str]:
        """The texts of an attribute of a group; none where there is none."""
        return list(self.groups.get(path, {}).get(name, ()))


def opened(file: IO[bytes], data: NDArray[np.uint8], begin: int = 0) -> Hdf5:
    """An HDF5 file, or one within a file.

    Args:
        file: a real one, not a file-like object.
        data: the bytes of the HDF5 file, mapped.
        begin: where in `file` they begin.

    Raises:
        WeightsError: it is damaged, or HDF5 crashes, hangs or asks for too much memory over it.
    """
    found = _surveyed(file, begin, len(data))
    if "error" in found:
        raise WeightsError(found["error"])
    return Hdf5(found["groups"], found["datasets"], data)


def _surveyed(file: IO[bytes], begin: int, length: int) -> dict[str, Any]:
    """Run the survey, which gets nothing of this process but the file."""
    program = Path(survey.__file__)
    code, text = limited.run(program, [json.dumps([begin, length])], file, _PATIENCE)
    if code is None:
        raise WeightsError(_CRASHED)
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError:
        raise WeightsError(f"{_CRASHED} (it ended with {code})") from None
    return found
