"""Frossard's `vgg16_weights.npz`, and other archives of arrays by the names of VGG's layers.

`conv1_1_W [3,3,3,64]`, `conv1_1_b`, ..., `fc6_W [25088,4096]`, ..., `fc8_b`; rows of fc6 in H,W,C
order (cs.toronto.edu/~frossard/post/vgg16). It takes RGB with Caffe's mean. What is stored is
mapped, what is deflated is read piece by piece; arrays of objects are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.inputs import RGB, of_scale
from vggfeat.weights import structure
from vggfeat.weights.formats import note
from vggfeat.weights.formats.containers import numpy_arrays
from vggfeat.weights.formats.containers.archive import Archive, names_in
from vggfeat.weights.formats.torch import state_dict
from vggfeat.weights.formats.unexplained import BIASES, without_another_head
from vggfeat.weights.layers import Layer, Network
from vggfeat.weights.tensors import Tensor, mapped, size

NAME = "NumPy archive"
FILES = "`.npz`"
ABOUT = "Frossard's `vgg16_weights.npz`, compressed or not, and arrays by PyTorch's names"

_SUFFIX = ".npy"
_KERNEL = re.compile(r"^(?P<layer>.+)[_/.](?:W|weights|kernel)$")
_TORCH = ".weight"


def recognise(path: Path) -> bool:
    names = names_in(path)
    return bool(names) and all(name.endswith(_SUFFIX) for name in names)


def find(path: Path) -> Network:
    """The VGG16 among the arrays of an archive. Raises WeightsError."""
    archive = Archive(path)
    tensors = {name.removesuffix(_SUFFIX): _tensor(archive, name) for name in archive.entries}
    taken = note.note_of(archive.comment)
    if any(name.endswith(_TORCH) for name in tensors):
        parts = {tuple(name.split(".")): tensor for name, tensor in tensors.items()}
        return note.noted(state_dict.network(NAME, parts), taken)
    layers = list(_layers(tensors))
    chosen = without_another_head(structure.choose(layers), layers, tensors)
    found = Network(NAME, chosen)
    if chosen[vgg16.CONVOLUTIONS[0]].path[-1:] == ("conv1_1",) and "conv1_1_W" in tensors:
        found = Network(NAME, chosen, of_scale(RGB, "caffe"), "Frossard's names")
    return note.noted(found, taken)


def _layers(tensors: dict[str, Tensor]) -> Iterator[Layer]:
    for name, kernel in tensors.items():
        match = _KERNEL.match(name)
        if match and kernel.is_float and len(kernel.shape) in (2, 4):
            layer, part = match["layer"], name[match.end("layer") + 1 :]
            names = [name[: -len(part)] + bias for bias in BIASES]
            bias = next((found for other in names if (found := tensors.get(other))), None)
            axes = "hwio" if len(kernel.shape) == 4 else "io"
            yield Layer(tuple(layer.split("/")), kernel, axes, bias)


def _tensor(archive: Archive, name: str) -> Tensor:
    stored = archive.is_stored(name)
    begin = archive.mapped(name) if stored else archive.inflated(name, 0, numpy_arrays.PREFIX)
    header = numpy_arrays.header(begin[: numpy_arrays.PREFIX].tobytes())
    if header.dtype.hasobject:
        raise WeightsError("it holds Python objects beside numbers, which are not read")
    shape = header.shape[::-1] if header.fortran_order else header.shape
    length = size(shape) * header.dtype.itemsize
    if header.length + length != archive.size(name):
        raise WeightsError("damaged: an array that has not as many numbers as its shape")

    def read() -> NDArray[Any]:
        data = archive.inflated(name, header.length, length)
        return mapped(data, 0, shape, header.dtype).read()

    if stored:
        flat = mapped(begin, header.length, shape, header.dtype)
    else:
        flat = Tensor(shape, header.dtype, read)
    return numpy_arrays.in_order(flat, header.fortran_order)
