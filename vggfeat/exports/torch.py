"""A state dict of torchvision's VGG16, as `torch.save` writes it since PyTorch 1.6.

A zip of stored entries (torch/serialization.py, caffe2/serialize/inline_container.cc): `data.pkl`,
a pickle of protocol 2 that builds an ordered dict of tensors, and each tensor's numbers in
`data/0`, `data/1` ..., which begin at multiples of 64 bytes. `torch.load(FILE)` reads it, with
`weights_only` and `mmap` too, and `torchvision.models.vgg16().load_state_dict` takes it. Without
fc8 there is no `classifier.6` (`strict=False`), without fc layers only `features`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO
from zipfile import ZipFile, ZipInfo

from vggfeat.exports import pixels
from vggfeat.exports.channels_first import Turned, turned, with_torch_names
from vggfeat.vgg16 import Shape
from vggfeat.weights.canonical import Weights
from vggfeat.weights.formats import note
from vggfeat.whole import whole

_FOLDER = "archive"
_VERSION = b"3\n"
_ALIGNMENT = 64
_LOCAL_HEADER = 30  # bytes, before the name
_PADDING = b"FB"  # the extra field that PyTorch pads with

# Opcodes (pickletools in Python's library).
_PROTO, _STOP, _MARK, _TUPLE, _EMPTY_TUPLE = b"\x80\x02", b".", b"(", b"t", b")"
_GLOBAL, _REDUCE, _PERSISTENT, _SET_ITEMS, _FALSE = b"c", b"R", b"Q", b"u", b"\x89"


def write(weights: Weights, path: Path) -> str:
    """Write the file. Raises OSError."""
    taken = pixels.of_torch(weights)
    tensors = with_torch_names(turned(weights, taken.divisor))
    with whole(path) as file, ZipFile(file, "w") as archive:
        archive.comment = note.to_text(taken).encode()
        _add(archive, file, "data.pkl", [_pickle(tensors)])
        _add(archive, file, "byteorder", [b"little"])
        for key, tensor in enumerate(tensors):
            _add(archive, file, f"data/{key}", tensor.blocks(), tensor.nbytes)
        _add(archive, file, "version", [_VERSION])
    return f"prepare pixels with {pixels.normalize(taken)}"


def _add(
    archive: ZipFile,
    file: BinaryIO,
    name: str,
    parts: Iterable[bytes | memoryview],
    length: int = 0,
) -> None:
    info = ZipInfo(f"{_FOLDER}/{name}")
    info.file_size = length
    begin = file.tell() + _LOCAL_HEADER + len(info.filename) + 4
    padding = -begin % _ALIGNMENT
    info.extra = _PADDING + struct.pack("<H", padding) + b"Z" * padding
    with archive.open(info, "w") as entry:
        for part in parts:
            entry.write(part)


def _pickle(tensors: list[Turned]) -> bytes:
    entries = b"".join(
        _string(tensor.name) + _tensor(str(key), tensor) for key, tensor in enumerate(tensors)
    )
    return _PROTO + _ordered_dict() + _MARK + entries + _SET_ITEMS + _STOP


def _ordered_dict() -> bytes:
    return _named("collections", "OrderedDict") + _EMPTY_TUPLE + _REDUCE


def _tensor(key: str, tensor: Turned) -> bytes:
    """`_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks)`."""
    storage = _tuple(
        _string("storage"),
        _named("torch", "FloatStorage"),
        _string(key),
        _string("cpu"),
        _number(tensor.count),
    )
    arguments = _tuple(
        storage + _PERSISTENT,
        _number(0),
        _tuple(*map(_number, tensor.shape)),
        _tuple(*map(_number, _strides(tensor.shape))),
        _FALSE,
        _ordered_dict(),
    )
    return _named("torch._utils", "_rebuild_tensor_v2") + arguments + _REDUCE


def _strides(shape: Shape) -> Shape:
    """In numbers, of an array without gaps."""
    strides = [1]
    for side in shape[:0:-1]:
        strides.append(strides[-1] * side)
    return tuple(reversed(strides))


def _named(module: str, name: str) -> bytes:
    return _GLOBAL + f"{module}\n{name}\n".encode()


def _string(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text.encode())) + text.encode()


def _number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def _tuple(*items: bytes) -> bytes:
    return _MARK + b"".join(items) + _TUPLE
