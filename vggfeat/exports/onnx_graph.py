"""VGG16 as the nodes of an ONNX graph, up to any of its layers.

Maps are `[n,c,h,w]` within.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vggfeat import vgg16
from vggfeat.activations import AVG, MAX, Activation
from vggfeat.exports import onnx_fields as fields
from vggfeat.exports.channels_first import Turned, in_memory, turned
from vggfeat.vgg16 import Shape
from vggfeat.weights.canonical import Weights

INPUT = "images"

_CHANNELS_LAST = [0, 2, 3, 1]
_POOLED = {AVG: "ReduceMean", MAX: "ReduceMax"}


class Graph:
    """Nodes, tensors and outputs, from the images on.

    Args:
        size: of the images, in pixels.
        fc8: what the output of fc8 is called.
    """

    def __init__(self, weights: Weights, size: int = vgg16.SIZE, fc8: str = "fc8") -> None:
        self.size = size
        self._fc8 = fc8
        self.nodes: list[bytes] = []
        self.tensors = [in_memory("mean", weights.tensors["mean"])]
        self.outputs: dict[str, Shape] = {}
        self._turned = {tensor.name: tensor for tensor in turned(weights)}

    def add(self, kind: str, inputs: list[str], output: str, **told: int | list[int]) -> str:
        """A node by the name of its output, which is given back."""
        self.nodes.append(fields.node(kind, inputs, output, told))
        return output

    def add_tensor(self, tensor: Turned) -> str:
        self.tensors.append(tensor)
        return tensor.name

    def map_of(self, wanted: Activation) -> str:
        """The convolutions, up to a map or to pool5: the name of the map."""
        x = self.add("Cast", [INPUT], "pixels", to=fields.FLOAT)
        x = self.add("Sub", [x, "mean"], "centered")
        x = self.add("Transpose", [x], "centered_nchw", perm=[0, 3, 1, 2])
        last = wanted.layer if wanted.is_map else "pool5"
        for layer in _maps_up_to(last):
            if layer in vgg16.CONVOLUTIONS:
                inputs = [x, *self._parts(layer)]
                same = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
                x = self.add("Conv", inputs, self._sum(layer), **same)
                x = self._rectified(x, layer, wanted)
            else:
                sides = {"kernel_shape": [2, 2], "strides": [2, 2]}
                x = self.add("MaxPool", [x], f"{layer}_nchw", **sides)
        return x

    def channels_last(self, x: str, output: str) -> str:
        return self.add("Transpose", [x], output, perm=_CHANNELS_LAST)

    def vector_of(self, x: str, wanted: Activation) -> str:
        """What follows the map: it is pooled, or goes through the fully connected layers."""
        if wanted.pooling in _POOLED:
            return self._over_positions(_POOLED[wanted.pooling], x)
        if wanted.is_map:
            return self._flat(self.channels_last(x, "channels_last"))
        if self.size >> len(vgg16.BLOCKS) == vgg16.POOLED_SIZE:
            x = self._flat(x)
            for layer in _connected_in(wanted):
                inputs = [x, *self._parts(layer)]
                x = self.add("Gemm", inputs, self._sum(layer), transB=1)
                x = self._rectified(x, layer, wanted)
        else:
            x = self._over_positions("ReduceMean", self._windows(x, wanted))
        return self.add("Softmax", [x], "prob") if wanted.layer == "prob" else x

    def _over_positions(self, kind: str, x: str) -> str:
        # Not GlobalAveragePool, whose sums ONNX Runtime rounds ten times as much.
        return self.add(kind, [x], "pooled", axes=[2, 3], keepdims=0)

    def _windows(self, x: str, wanted: Activation) -> str:
        """The fully connected layers as convolutions over a larger map (columns of fc6 lie so)."""
        for layer in _connected_in(wanted):
            side = vgg16.POOLED_SIZE if layer == "fc6" else 1
            inputs = [x, *self._parts(layer, (side, side))]
            x = self.add("Conv", inputs, self._sum(layer), kernel_shape=[side, side])
            x = self._rectified(x, layer, wanted)
        return x

    def _sum(self, layer: str) -> str:
        return self._fc8 if layer == "fc8" else f"{layer}.sum"

    def _rectified(self, x: str, layer: str, wanted: Activation) -> str:
        linear = layer == "fc8" or (layer == wanted.layer and wanted.linear)
        return x if linear else self.add("Relu", [x], layer)

    def _flat(self, x: str) -> str:
        return self.add("Flatten", [x], "flat", axis=1)

    def _parts(self, layer: str, sides: Shape = ()) -> list[str]:
        """Kernel and bias, which are kept; a dense kernel as a convolution's of some sides."""
        kernel, bias = (self._turned[f"{layer}.{part}"] for part in ("weight", "bias"))
        if sides:
            out, columns = kernel.shape
            kernel = replace(kernel, shape=(out, columns // (sides[0] * sides[1]), *sides))
        return [self.add_tensor(tensor) for tensor in (kernel, bias)]


def _maps_up_to(last: str) -> Iterator[str]:
    for layer in vgg16.MAPS:
        yield layer
        if layer == last:
            return


def _connected_in(wanted: Activation) -> list[str]:
    return [layer for layer in wanted.parts if layer in vgg16.FULLY_CONNECTED]
