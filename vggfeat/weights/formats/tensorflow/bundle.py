"""TensorFlow's checkpoints of version 2: an `.index`, and `.data-00000-of-00001` ... beside it.

The index is a table: the key "" has a BundleHeaderProto, the name of each tensor a BundleEntryProto
that says where in which file it lies (tensorflow/core/protobuf/tensor_bundle.proto). Slices of
partitioned variables are entries of their own; their keys are a zero byte, the variable's name, the
bytes 0 and 1, and the slice in a code that sorts like it (tensorflow/core/util/saved_tensor_slice_
util.cc).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vggfeat.errors import WeightsError
from vggfeat.vgg16 import Shape
from vggfeat.weights import tensors
from vggfeat.weights.formats.containers.table import Bytes, entries
from vggfeat.weights.formats.containers.wire import Message
from vggfeat.weights.formats.tensorflow import slices, tracking
from vggfeat.weights.formats.tensorflow.variables import Variable
from vggfeat.weights.tensors import Tensor

_STRING = 7  # in types.proto
_MOST_SHARDS = 99_999  # their number is written with five digits


def variables(prefix: Path) -> list[Variable]:
    """All variables of floats, with the names that an object-based checkpoint has for them.

    Raises:
        WeightsError: the index is damaged, or a data file shorter than it says or missing.
    """
    bundle = _Bundle(prefix)
    found = []
    for key, entry in bundle.entries.items():
        dtype = slices.FLOATS.get(entry.number(1))
        if dtype is not None:
            tensor = bundle.tensor(key, entry, dtype)
            found.append(Variable(key.decode("utf-8", "replace"), tensor, _checksum(entry)))
    names = bundle.names()
    return [replace(variable, name=names.get(variable.key, "")) for variable in found]


class _Bundle:
    """An index, and the data files it speaks of."""

    def __init__(self, prefix: Path) -> None:
        self._prefix = prefix
        self._mapped: dict[int, Bytes] = {}
        self._parts: dict[bytes, list[Message]] = defaultdict(list)
        self.entries: dict[bytes, Message] = {}
        header: Message | None = None
        for key, value in entries(tensors.map_file(Path(f"{prefix}.index")).view(np.ndarray)):
            if key == b"":
                header = Message(value)
            elif key.startswith(b"\0"):
                self._parts[key[1:].partition(b"\0\1")[0]].append(Message(value))
            else:
                self.entries[key] = Message(value)
        self._count = header.number(1) if header else 0
        self._swapped = header is not None and header.number(2) == 1  # written big-endian
        if not 0 < self._count <= _MOST_SHARDS:
            raise WeightsError("damaged: the checkpoint's index has no header")

    def names(self) -> dict[str, str]:
        """By key, what the program that wrote it calls each variable."""
        entry = self.entries.get(tracking.KEY)
        if entry is None or entry.number(1) != _STRING:
            return {}
        size = entry.number(5)
        if size > tracking.MOST_BYTES:
            return {}
        data = tensors.mapped(self._file(entry), entry.number(4), (size,), np.dtype(np.uint8))
        return tracking.names(data.read().view(np.ndarray))

    def tensor(self, key: bytes, entry: Message, dtype: np.dtype[Any]) -> Tensor:
        """The tensor of an entry, put together where it is kept in slices."""
        shape = slices.shape_of(entry.message(2))
        described = [slices.slice_of(part, shape) for part in slices.each(entry, 7)]
        if not described:
            return self._whole(entry, shape, dtype)
        stored = self._parts.get(key, [])
        if len(stored) != len(described):
            raise WeightsError(slices.CONTRADICTION)
        parts = [
            (part, self._whole(kept, slices.shape_of(kept.message(2)), dtype))
            for part, kept in zip(sorted(described), stored, strict=True)
        ]
        return slices.assembled(shape, dtype, parts)

    def _whole(self, entry: Message, shape: Shape, dtype: np.dtype[Any]) -> Tensor:
        if entry.number(5) != tensors.size(shape) * dtype.itemsize:
            raise WeightsError(slices.CONTRADICTION)
        stored = dtype.newbyteorder("S") if self._swapped else dtype
        return tensors.mapped(self._file(entry), entry.number(4), shape, stored)

    def _file(self, entry: Message) -> Bytes:
        shard = entry.number(3)
        if shard >= self._count:
            raise WeightsError(slices.CONTRADICTION)
        if shard not in self._mapped:
            path = Path(f"{self._prefix}.data-{shard:05d}-of-{self._count:05d}")
            if not path.is_file():
                raise WeightsError(f"a part of the checkpoint is missing: {path.name}")
            self._mapped[shard] = tensors.map_file(path)
        return self._mapped[shard]


def _checksum(entry: Message) -> int:
    """CRC-32C of the tensor's bytes; 0 where it is kept in slices."""
    found = entry.packed(6, np.dtype("<u4"))
    return int(found[-1]) if len(found) else 0
