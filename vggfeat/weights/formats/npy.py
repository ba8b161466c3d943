"""machrisaa's `vgg16.npy`, and what caffe-tensorflow wrote: a dictionary pickled into a `.npy`.

`{"conv1_1": [kernel, bias], ..., "fc8": [kernel, bias]}`, in caffe-tensorflow's also
`{"conv1_1": {"weights": kernel, "biases": bias}}`. Kernels are HWIO and `[in,out]`, rows of fc6 in
H,W,C order. Both were converted from Caffe, and take BGR with Caffe's mean
(github.com/machrisaa/tensorflow-vgg, vgg16.py).
"""

from __future__ import annotations

from pathlib import Path

from vggfeat.errors import WeightsError
from vggfeat.inputs import BGR, of_scale
from vggfeat.weights import structure
from vggfeat.weights.formats import containers
from vggfeat.weights.formats.containers import numpy_arrays, pickles
from vggfeat.weights.formats.containers.pickles.walk import named
from vggfeat.weights.formats.unexplained import BIASES, without_another_head
from vggfeat.weights.layers import Layer, Name, Network
from vggfeat.weights.tensors import Tensor, map_file

NAME = "NumPy file of a dictionary"
FILES = "`vgg16.npy`"
ABOUT = "machrisaa's, and those of caffe-tensorflow; its pickle is read without being run"

_KERNELS = ("0", "weights")
_BIASES = {"0": ("1",), "weights": BIASES}


def recognise(path: Path) -> bool:
    return containers.head(path, len(numpy_arrays.MAGIC)) == numpy_arrays.MAGIC


def find(path: Path) -> Network:
    """The VGG16 in a pickled dictionary. Raises WeightsError."""
    data = map_file(path)
    header = numpy_arrays.header(data[: numpy_arrays.PREFIX].tobytes())
    if header.dtype.kind != "O":
        raise WeightsError("no VGG16: it holds one array of numbers, not a dictionary of layers")
    objects = numpy_arrays.objects_of(pickles.load(data, header.length).value)
    tensors = named(objects[0] if len(objects) == 1 else objects, numpy_arrays.tensor_of)
    layers = _layers(tensors)
    arrays = {"/".join(name): tensor for name, tensor in tensors.items()}
    chosen = without_another_head(structure.choose(layers), layers, arrays)
    return Network(NAME, chosen, of_scale(BGR, "caffe"), "the names of caffe-tensorflow")


def _layers(tensors: dict[Name, Tensor]) -> list[Layer]:
    layers: list[Layer] = []
    for name, kernel in tensors.items():
        if name[-1] in _KERNELS and len(kernel.shape) in (2, 4):
            names = [(*name[:-1], bias) for bias in _BIASES[name[-1]]]
            bias = next((found for other in names if (found := tensors.get(other))), None)
            axes = "hwio" if len(kernel.shape) == 4 else "io"
            layers.append(Layer(name[:-1], kernel, axes, bias))
    return layers
