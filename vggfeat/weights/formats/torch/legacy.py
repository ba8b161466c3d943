"""What `torch.save` wrote before PyTorch 1.6, and writes without its new form.

torch/serialization.py, `_legacy_save`: pickles of a magic number, of the number 1001, of a
dictionary about the machine, of the object, and of the keys of its storages; then each storage in
the order of the keys, as the count of its numbers (int64) and the numbers, all little-endian on any
machine (torch/csrc/StorageMethods.cpp and serialization.cpp).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import WeightsError
from vggfeat.weights.formats import containers
from vggfeat.weights.formats.containers import pickles
from vggfeat.weights.formats.containers.pickles.records import Persistent
from vggfeat.weights.formats.containers.pickles.walk import named
from vggfeat.weights.formats.torch.modules import attributes
from vggfeat.weights.formats.torch.tensors import SIZES, Tensors, storage_of
from vggfeat.weights.layers import Name
from vggfeat.weights.tensors import Tensor

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001

Bytes = NDArray[np.uint8]


def recognise(path: Path) -> bool:
    return _MAGIC.to_bytes(10, "little") in containers.head(path, 32)


def tensors(data: Bytes) -> tuple[dict[Name, Tensor], Any]:
    """All tensors of floats in a file, by their names, and the record that they are in.

    Raises:
        WeightsError: it is damaged.
    """
    magic = pickles.load(data)
    version = pickles.load(data, magic.end)
    if magic.value != _MAGIC or version.value != _VERSION:
        raise WeightsError("damaged: no PyTorch file of a known version")
    system = pickles.load(data, version.end)
    whole = pickles.load(data, system.end)
    keys = pickles.load(data, whole.end)
    storages = _storages(data, keys.end, keys.value, _sizes(whole.persistent))

    def storage(key: str) -> Bytes:
        if key not in storages:
            raise WeightsError("damaged: it lacks a storage that a tensor is in")
        return storages[key]

    return named(whole.value, Tensors(storage).of, attributes), whole.value


def _sizes(records: list[Persistent]) -> dict[str, int]:
    """How many bytes a number has, by the key of the storage."""
    sizes = {}
    for record in records:
        if isinstance(record.id, tuple) and record.id[:1] == ("storage",):
            kind, key, _ = storage_of(record)
            if kind not in SIZES:
                raise WeightsError("it holds a storage of an unknown kind")
            sizes[key] = SIZES[kind]
    return sizes


def _storages(data: Bytes, at: int, keys: object, sizes: dict[str, int]) -> dict[str, Bytes]:
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise WeightsError("damaged: the keys of its storages are no list")
    found = {}
    for key in keys:
        if key not in sizes:
            raise WeightsError("damaged: a storage that no tensor is in")
        count = int.from_bytes(data[at : at + 8].tobytes(), "little")
        begin = at + 8
        at = begin + count * sizes[key]
        if at > len(data):
            raise WeightsError("damaged: its storages are cut short")
        found[key] = data[begin:at]
    return found
