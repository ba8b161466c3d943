"""A block of VGG16 as an ncnn network: the text that describes it, and where its maps are.

The text is ncnn's param format (docs/developer-guide/param-and-model-file-structure.md there):
after the magic number and the counts one line a layer, `type name inputs outputs names
parameters`. `-23330` tells the shapes of the outputs, without which ncnn does not look for the
best Winograd variant.

Block 1, whose maps fit in no cache, is computed in horizontal strips. What no one asks for is
described too, and not computed: ncnn computes the blobs it is asked for and what they take.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from vggfeat import vgg16
from vggfeat.activations import Activation
from vggfeat.weights.canonical import Float32

INPUT = "input"
_STRIP_ROWS = {0: 56}  # about, by block
_WITHOUT_WINOGRAD = " 31=64"


class Tap(NamedTuple):
    """Where a map is, or a strip of it: some rows of a blob."""

    activation: Activation
    blob: str
    rows: slice = slice(None)


class Block:
    """Collects the layers of a block. Sizes are `(height, width)`.

    Args:
        tensors: of the layers that take part.
        number: of the block, from 0.
        wanted: maps to give, before any pooling to vectors.
        size: of the images, in pixels.

    Attributes:
        taps: where the wanted maps are, in the order in which they are computed.
        output: the blob that the next block takes.
    """

    def __init__(
        self,
        tensors: Mapping[str, Float32],
        number: int,
        wanted: Collection[Activation],
        size: int,
    ) -> None:
        self._tensors = tensors
        self._wanted = wanted
        self._lines: list[str] = []
        self._blobs = 0
        self._convolutions: list[str] = []
        self.taps: list[Tap] = []
        layers = [layer for layer in vgg16.BLOCKS[number] if f"{layer}/kernel" in tensors]
        side = size >> number
        channels = self._channels_into(layers[0])
        self._add("Input", [], [INPUT], (side, side, channels), f"0={side} 1={side} 2={channels}")
        strips = _strips(side, _STRIP_ROWS.get(number, side))
        if len(strips) > 1:
            self.output = self._in_strips(layers, side, strips)
        else:
            self.output = self._whole(layers, side)
        self._tap(Activation(f"pool{number + 1}"), self.output)

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
            x = self._convolution(layer, layer, x, (side, side), (True, True), slice(None))
        return self._pool("pool", layers[-1], x, (side, side))

    def _in_strips(self, layers: list[str], side: int, strips: list[tuple[int, int]]) -> str:
        """The same numbers, strip by strip.

        A convolution pads where a strip touches the edge of the map. Where it does not, the
        strip starts with one row more for each convolution, and each takes one away.
        """
        channels = self._channels_into(layers[0])
        copies = [f"{INPUT}_{strip}" for strip in range(len(strips))]
        self._add("Split", [INPUT], copies, (side, side, channels))
        halo = len(layers)
        pooled = []
        for strip, ((begin, end), copy) in enumerate(zip(strips, copies, strict=True)):
            first, last = max(begin - halo, 0), min(end + halo, side)
            padded = (first == 0, last == side)
            height = last - first
            crop = f"0=0 1={first} 2=0 3={side} 4={height} 5={channels}"
            x = self._add("Crop", [copy], [f"crop_{strip}"], (height, side, channels), crop)
            for layer in layers:
                height += sum(padded) - 2
                first += not padded[0]
                own = slice(begin - first, end - first)
                x = self._convolution(layer, f"{layer}_{strip}", x, (height, side), padded, own)
            pooled.append(self._pool(f"pool_{strip}", layers[-1], x, (height, side)))
        shape = (side // 2, side // 2, self._channels_out_of(layers[-1]))
        return self._add("Concat", pooled, ["joined"], shape, "0=1")

    def _convolution(
        self,
        layer: str,
        name: str,
        source: str,
        size: tuple[int, int],
        padded: tuple[bool, bool],
        rows: slice,
    ) -> str:
        """3x3 with bias and ReLU, of the given output size, padded above and below as told."""
        self._convolutions.append(layer)
        kernel, shape = self._tensors[f"{layer}/kernel"], (*size, self._channels_out_of(layer))
        linear = Activation(layer, linear=True)
        is_fused = linear not in self._wanted
        above, below = map(int, padded)
        parameters = (
            f"0={shape[2]} 1=3 4=1 14={above} 15=1 16={below} 5=1 6={kernel.size} 9={is_fused:d}"
            # With three channels in, Winograd costs more than it saves.
            f"{_WITHOUT_WINOGRAD if layer == vgg16.CONVOLUTIONS[0] else ''}"
        )
        x = self._add(
            "Convolution", [source], [name if is_fused else f"{name}_linear"], shape, parameters
        )
        if not is_fused:
            self._tap(linear, x, rows)
            x = self._add("ReLU", [x], [name], shape)
        self._tap(Activation(layer), x, rows)
        return x

    def _tap(self, activation: Activation, blob: str, rows: slice = slice(None)) -> None:
        if activation in self._wanted:
            self.taps.append(Tap(activation, blob, rows))

    def _pool(self, name: str, layer: str, source: str, size: tuple[int, int]) -> str:
        """2x2, without the last row or column where that is alone."""
        shape = (size[0] // 2, size[1] // 2, self._channels_out_of(layer))
        return self._add("Pooling", [source], [name], shape, "0=0 1=2 2=2 5=1")

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


def _strips(side: int, rows: int) -> list[tuple[int, int]]:
    """Where strips of about so many rows begin and end. Each begins where a pooling does."""
    count = max(1, round(side / rows))
    borders = [2 * (side * strip // count // 2) for strip in range(count)]
    return list(zip(borders, [*borders[1:], side], strict=True))
