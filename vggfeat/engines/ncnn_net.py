"""VGG16's convolutions as ncnn networks: the text that describes them, and their weights.

One network a block, run one after the other, because the Winograd variant is chosen for a
network as a whole. A larger one saves more multiplications, but takes kernels that are larger
(64/9 of their size for F(6,3), 36/9 for F(4,3), 16/9 for F(2,3)) and whole tiles: worth it on
the large maps of the first blocks, not on the 14x14 of block 5, where time goes into reading
kernels. Block 1, whose maps fit in no cache, is computed in horizontal strips.

The text is ncnn's param format (docs/developer-guide/param-and-model-file-structure.md there):
after the magic number and the counts one line a layer, `type name inputs outputs names
parameters`. `-23330` tells the shapes of the outputs, without which ncnn does not look for the
best Winograd variant.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from vggfeat import vgg16
from vggfeat.weights.canonical import Float32

INPUT = "input"
_STRIPS = {0: 4}  # by block
_WINOGRAD = ("63", "63", "63", "43", "23")  # by block
_WITHOUT_WINOGRAD = " 31=64"


def build(ncnn: Any, tensors: Mapping[str, Float32]) -> list[tuple[Any, str]]:
    """A network for each block, with the name of its output."""
    nets = []
    for number in range(len(vgg16.BLOCKS)):
        description = _Block(tensors, number)
        net = ncnn.Net()
        option = net.opt
        option.num_threads = 1
        for variant in ("63", "43", "23"):
            setattr(option, f"use_winograd{variant}_convolution", variant == _WINOGRAD[number])
        for kind in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
            setattr(option, f"use_{kind}", False)
        net.load_param_mem(description.text())
        net.load_model(_reader(ncnn, description.weights()))
        nets.append((net, description.output))
    return nets


def _reader(ncnn: Any, pieces: Iterator[Float32]) -> Any:
    """What ncnn reads the weights from, piece by piece, so that only one is held twice."""
    address_of = ctypes.pythonapi.PyCapsule_GetPointer
    address_of.restype = ctypes.c_void_p
    address_of.argtypes = [ctypes.py_object, ctypes.c_char_p]

    class Reader(ncnn.DataReader):  # type: ignore[misc]
        def read(self, target: Any, size: int) -> int:
            piece = next(pieces)
            if piece.nbytes != size:
                return 0
            ctypes.memmove(address_of(target, None), piece.ctypes.data, size)
            return size

    return Reader()


class _Block:
    """Collects the layers of a block. Sizes are `(height, width)`."""

    def __init__(self, tensors: Mapping[str, Float32], number: int) -> None:
        self._tensors = tensors
        self._lines: list[str] = []
        self._blobs = 0
        self._convolutions: list[str] = []
        layers = list(vgg16.BLOCKS[number])
        side = vgg16.SIZE >> number
        channels = self._channels_into(layers[0])
        size = f"0={side} 1={side} 2={channels}"
        self._add("Input", [], [INPUT], (side, side, channels), size)
        if number in _STRIPS:
            self.output = self._in_strips(layers, side, _STRIPS[number])
        else:
            self.output = self._whole(layers, side)

    def text(self) -> str:
        lines = ["7767517", f"{len(self._lines)} {self._blobs}", *self._lines]
        return "\n".join(lines) + "\n"

    def weights(self) -> Iterator[Float32]:
        """Of each convolution four zero bytes, which mean float32, the kernel OIHW, the bias."""
        for layer in self._convolutions:
            yield np.zeros(1, np.float32)
            # HWIO to OIHW in two steps, of which each moves longer runs than one alone would.
            iohw = np.ascontiguousarray(self._tensors[f"{layer}/kernel"].transpose(2, 3, 0, 1))
            yield np.ascontiguousarray(iohw.transpose(1, 0, 2, 3))
            yield np.ascontiguousarray(self._tensors[f"{layer}/bias"])

    def _whole(self, layers: list[str], side: int) -> str:
        x = INPUT
        for layer in layers:
            x = self._convolution(layer, layer, x, (side, side), (True, True))
        return self._pool("pool", layers[-1], x, (side, side))

    def _in_strips(self, layers: list[str], side: int, strips: int) -> str:
        """The same numbers, strip by strip.

        A convolution pads where a strip touches the edge of the map. Where it does not, the
        strip starts with one row more for each convolution, and each takes one away.
        """
        channels = self._channels_into(layers[0])
        copies = [f"{INPUT}_{strip}" for strip in range(strips)]
        self._add("Split", [INPUT], copies, (side, side, channels))
        rows, halo = side // strips, len(layers)
        pooled = []
        for strip, copy in enumerate(copies):
            first, last = max(strip * rows - halo, 0), min((strip + 1) * rows + halo, side)
            padded = (first == 0, last == side)
            height = last - first
            crop = f"0=0 1={first} 2=0 3={side} 4={height} 5={channels}"
            x = self._add("Crop", [copy], [f"crop_{strip}"], (height, side, channels), crop)
            for layer in layers:
                height += sum(padded) - 2
                x = self._convolution(layer, f"{layer}_{strip}", x, (height, side), padded)
            pooled.append(self._pool(f"pool_{strip}", layers[-1], x, (height, side)))
        shape = (side // 2, side // 2, self._channels_out_of(layers[-1]))
        return self._add("Concat", pooled, ["joined"], shape, "0=1")

    def _convolution(
        self, layer: str, name: str, source: str, size: tuple[int, int], padded: tuple[bool, bool]
    ) -> str:
        """3x3 with bias and ReLU, of the given output size, padded above and below as told."""
        self._convolutions.append(layer)
        kernel, channels = self._tensors[f"{layer}/kernel"], self._channels_out_of(layer)
        above, below = map(int, padded)
        parameters = (
            f"0={channels} 1=3 4=1 14={above} 15=1 16={below} 5=1 6={kernel.size} 9=1"
            # With three channels in, Winograd costs more than it saves.
            f"{_WITHOUT_WINOGRAD if layer == vgg16.CONVOLUTIONS[0] else ''}"
        )
        return self._add("Convolution", [source], [name], (*size, channels), parameters)

    def _pool(self, name: str, layer: str, source: str, size: tuple[int, int]) -> str:
        shape = (size[0] // 2, size[1] // 2, self._channels_out_of(layer))
        return self._add("Pooling", [source], [name], shape, "0=0 1=2 2=2")

    def _add(
        self,
        kind: str,
        sources: list[str],
        outputs: list[str],
        shape: tuple[int, int, int],
        parameters: str = "",
    ) -> str:
        """Add a layer whose outputs all have one shape (height, width, channels)."""
        height, width, channels = shape
        hints = ",".join([f"3,{width},{height},{channels}"] * len(outputs))
        self._lines.append(
            f"{kind} {outputs[0]} {len(sources)} {len(outputs)} {' '.join(sources + outputs)} "
            f"-23330={4 * len(outputs)},{hints} {parameters}"
        )
        self._blobs += len(outputs)
        return outputs[0]

    def _channels_into(self, layer: str) -> int:
        return int(self._tensors[f"{layer}/kernel"].shape[2])

    def _channels_out_of(self, layer: str) -> int:
        return int(self._tensors[f"{layer}/kernel"].shape[3])
