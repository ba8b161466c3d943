"""The architecture of VGG16, as one table.

Configuration D of K. Simonyan and A. Zisserman, "Very Deep Convolutional Networks for
Large-Scale Image Recognition" (2014): thirteen 3x3 convolutions in five blocks, each block
closed by a 2x2 max pooling, then three fully connected layers. 224 pixels halve five times
to 7, which is what fc6 covers.

Widths are read from the weights: what makes a network VGG16-shaped is the chain of the
thirteen convolutions and fc6 over 7x7. The widths below are the published ones.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping

from vggfeat.errors import WeightsError

SIZE = 224
SMALLEST = 32  # pixels, of which pool5 leaves one position
LARGEST = 2048  # pixels, of which a map of conv1 takes 1 GB
POOLED_SIZE = 7
POSITIONS = POOLED_SIZE * POOLED_SIZE

BLOCKS: tuple[dict[str, int], ...] = (
    {"conv1_1": 64, "conv1_2": 64},
    {"conv2_1": 128, "conv2_2": 128},
    {"conv3_1": 256, "conv3_2": 256, "conv3_3": 256},
    {"conv4_1": 512, "conv4_2": 512, "conv4_3": 512},
    {"conv5_1": 512, "conv5_2": 512, "conv5_3": 512},
)
FULLY_CONNECTED: dict[str, int] = {"fc6": 4096, "fc7": 4096, "fc8": 1000}

CONVOLUTIONS: tuple[str, ...] = tuple(name for block in BLOCKS for name in block)
WIDTHS: dict[str, int] = {k: v for part in (*BLOCKS, FULLY_CONNECTED) for k, v in part.items()}
LAYERS: tuple[str, ...] = tuple(WIDTHS)

# The convolutions that VGG-19 (configuration E) adds: the file most often taken for a VGG16.
VGG19_LAYERS = ("conv3_4", "conv4_4", "conv5_4")
# The other configurations of the paper, by their number of 3x3 convolutions.
RELATIVES = {8: "VGG-11", 10: "VGG-13", 16: "VGG-19"}

# A file may not make us take more memory than a network of twice these widths does.
_WIDEST = 2
_MOST_CLASSES = 1 << 16

# Layers that are maps, with the number of times that their side is the image's halved.
MAPS: dict[str, int] = {
    name: depth
    for number, block in enumerate(BLOCKS)
    for name, depth in (*((layer, number) for layer in block), (f"pool{number + 1}", number + 1))
}
WITH_RELU = (*CONVOLUTIONS, "fc6", "fc7")


def _outputs() -> Iterator[tuple[str, tuple[str, ...]]]:
    taken: tuple[str, ...] = ()
    for number, block in enumerate((*BLOCKS, FULLY_CONNECTED), start=1):
        for layer in block:
            taken = (*taken, layer)
            yield layer, taken
        yield (f"pool{number}" if block is not FULLY_CONNECTED else "prob"), taken


# What can be asked of a network, in its order, and the layers with weights that it takes.
OUTPUTS: dict[str, tuple[str, ...]] = dict(_outputs())


def last_output(layers: Collection[str]) -> str:
    """The last output that such layers with weights reach up to: pool5 at the least."""
    return [name for name, parts in OUTPUTS.items() if set(parts) <= set(layers)][-1]


Shape = tuple[int, ...]


def canonical_shape(layer: str, shape: Shape) -> Shape:
    """The dense form `[in, out]` of a fully connected kernel kept as a convolution's.

    TF-Slim keeps fc6 as `[7,7,512,4096]` and fc7 as `[1,1,4096,4096]`: the same numbers in
    the same order as `[25088,4096]` and `[4096,4096]`. Any other shape comes back unchanged.
    """
    if layer in FULLY_CONNECTED and len(shape) == 4:
        extent = (POOLED_SIZE, POOLED_SIZE) if layer == "fc6" else (1, 1)
        if shape[:2] == extent:
            return (shape[0] * shape[1] * shape[2], shape[3])
    return shape


def convolution_shape(layer: str, shape: Shape) -> Shape:
    """The inverse of `canonical_shape`: `[25088,4096]` of fc6 -> `[7,7,512,4096]`."""
    if layer not in FULLY_CONNECTED or len(shape) != 2:
        return shape
    rows, out = shape
    if layer == "fc6":
        return (POOLED_SIZE, POOLED_SIZE, rows // POSITIONS, out)
    return (1, 1, rows, out)


def kernel_shape(layer: str, inputs: int, outputs: int) -> Shape:
    """Of a layer's kernel in canonical form, over so many channels: `[3,3,64,128]` of conv2_1."""
    if layer in CONVOLUTIONS:
        return (3, 3, inputs, outputs)
    return (POSITIONS * inputs if layer == "fc6" else inputs, outputs)


def parameters(width_of: Mapping[str, int]) -> int:
    """How many numbers kernels and biases of the layers hold: 138,357,544 of all with `WIDTHS`.

    Args:
        width_of: output channels by layer, from conv1_1 on.
    """
    count, channels = 0, 3
    for layer in LAYERS:
        if layer in width_of:
            count += math.prod(kernel_shape(layer, channels, width_of[layer])) + width_of[layer]
            channels = width_of[layer]
    return count


def check(shapes: Mapping[str, tuple[Shape, Shape]]) -> None:
    """Check that kernels and biases, in canonical form, chain up to a VGG16.

    `shapes` maps a layer to the shapes of its kernel (HWIO, or `[in, out]`) and bias. All
    convolutions must be there; fc6, fc7 and fc8 may be missing.

    Raises:
        WeightsError: naming the first layer that differs, its expected and its found shape.
    """
    missing = [layer for layer in CONVOLUTIONS if layer not in shapes]
    if missing:
        raise WeightsError(f"no VGG16: it has no {', '.join(missing)}")
    channels = 3
    for layer in LAYERS:
        if layer not in shapes:
            continue
        kernel, bias = shapes[layer]
        out = kernel[-1] if kernel else 0
        expected = kernel_shape(layer, channels, out)
        if layer == "fc6" and kernel == (channels, out):
            raise WeightsError(
                f"no VGG16: fc6 has shape {text(kernel)}, made for each of the 7x7 positions of "
                f"pool5 alone (a flatten before it was forgotten); expected {text(expected)}"
            )
        if kernel != expected or out < 1:
            raise WeightsError(
                f"no VGG16: {layer} has shape {text(kernel)}, expected {text(expected)}"
            )
        if out > (_MOST_CLASSES if layer == "fc8" else _WIDEST * WIDTHS[layer]):
            raise WeightsError(
                f"no VGG16: {layer} has shape {text(kernel)}, {_WIDEST} times as wide as VGG16's "
                "at the most"
            )
        if bias != (out,):
            raise WeightsError(
                f"no VGG16: the bias of {layer} has shape {text(bias)}, expected {text((out,))}"
            )
        channels = out


def text(shape: Shape) -> str:
    """`[3,3,3,64]`, as TensorFlow prints shapes."""
    return "[" + ",".join(map(str, shape)) + "]"
