"""What is asked of a network: the activation of a layer, in the words of `--layer`.

`fc7`, `conv5_3:linear`, `pool5:avg`: the layer, then whether it is taken before its ReLU, then
how a map becomes a vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from vggfeat import vgg16
from vggfeat.errors import UsageError

LINEAR = "linear"
AVG, MAX, FLAT = POOLINGS = ("avg", "max", "flat")


@dataclass(frozen=True)
class Activation:
    """Of one layer.

    Attributes:
        layer: `conv1_1` to `conv5_3`, `pool1` to `pool5`, `fc6`, `fc7`, `fc8` (logits) or `prob`
            (their softmax).
        linear: before the ReLU. Convolutions, fc6 and fc7 have one.
        pooling: how a map becomes a vector: `avg` or `max` over its positions, or `flat`, in the
            order height, width, channel; empty for the map as it is, and for layers without one.
    """

    layer: str
    linear: bool = False
    pooling: str = ""

    def __str__(self) -> str:
        """As `--layer` takes it: `conv5_3:linear:avg`."""
        return ":".join(filter(None, (self.layer, LINEAR if self.linear else "", self.pooling)))

    @property
    def is_map(self) -> bool:
        """Whether the layer is a map, though it may be pooled to a vector."""
        return self.layer in vgg16.MAPS

    @property
    def parts(self) -> tuple[str, ...]:
        """The layers with weights that it takes, in the network's order."""
        return vgg16.OUTPUTS[self.layer]

    @property
    def unpooled(self) -> Activation:
        """The map itself, where it is to become a vector."""
        return replace(self, pooling="")

    def shape(self, width_of: Mapping[str, int], size: int = vgg16.SIZE) -> tuple[int, ...]:
        """Of one image: `(4096,)` of fc7, `(7,7,512)` of pool5 at 224 pixels.

        Args:
            width_of: output channels by layer, as `Weights.width_of` has them.
            size: of the image, in pixels.
        """
        width = width_of[self.parts[-1]]
        if not self.is_map:
            return (width,)
        side = size >> vgg16.MAPS[self.layer]
        if self.pooling == FLAT:
            return (side * side * width,)
        return (width,) if self.pooling else (side, side, width)


def parse_all(texts: Iterable[str]) -> tuple[Activation, ...]:
    """Read one or several, each once, in the network's order. Raises UsageError."""
    places = {layer: place for place, layer in enumerate(vgg16.OUTPUTS)}
    found = {parse(text) for text in texts}
    if not found:
        raise UsageError("no layer is asked for")
    return tuple(sorted(found, key=lambda a: (places[a.layer], not a.linear, a.pooling)))


def parse(text: str) -> Activation:
    """Read `conv5_3:linear:avg`.

    Raises:
        UsageError: there is no such layer, or it has no such form.
    """
    layer, *rest = text.split(":")
    if layer not in vgg16.OUTPUTS:
        raise UsageError(f"no layer {layer!r}; there are {', '.join(vgg16.OUTPUTS)}")
    linear = rest[:1] == [LINEAR]
    pooling = rest[linear:]
    if len(pooling) > 1 or not set(pooling) <= set(POOLINGS):
        raise UsageError(
            f"no layer {text!r}: behind {layer} there may be :{LINEAR}, before the ReLU, and then "
            f":{', :'.join(POOLINGS)} of a map"
        )
    if linear and layer not in vgg16.WITH_RELU:
        raise UsageError(f"no layer {text!r}: {layer} has no ReLU, so it is {layer} alone")
    if pooling and layer not in vgg16.MAPS:
        raise UsageError(f"no layer {text!r}: {layer} is no map, so there is nothing to pool")
    return Activation(layer, linear, *pooling)
