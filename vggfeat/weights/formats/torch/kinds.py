"""What the modules of a pickled model are: their classes, and the geometry that they keep.

A state dict has none of this. Of a whole model that `torch.save` or TorchScript pickled, the
classes are named, and what `torch.nn.Conv2d` and `MaxPool2d` were made with is among their
attributes. What a class of the user's own does with its modules is not in the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.weights.formats.containers.pickles.records import Object, Persistent, Symbol
from vggfeat.weights.formats.containers.pickles.walk import attributes_in, walk
from vggfeat.weights.formats.torch.modules import attributes
from vggfeat.weights.layers import Layer, Name

# Of torch.nn; those that learn something are found by their numbers.
_FOREIGN = frozenset(
    "AvgPool2d LPPool2d FractionalMaxPool2d AdaptiveMaxPool2d InstanceNorm2d LocalResponseNorm "
    "CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid Mish PReLU "
    "RReLU ReLU6 SELU Sigmoid SiLU Softplus Softshrink Softsign Tanh Tanhshrink Threshold "
    "PixelShuffle PixelUnshuffle Upsample UpsamplingNearest2d UpsamplingBilinear2d".split()
)
_POOLING = "MaxPool2d"
_CONVOLUTION = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1}
_POOL = {"kernel_size": 2, "stride": 2, "padding": 0, "dilation": 1}
_BEHIND = 3  # places of an `nn.Sequential`: normalisation, ReLU and pooling of the last convolution

Kinds = Mapping[Name, tuple[str, dict[str, Any]]]
NO_KINDS: Kinds = {}


def of(root: Any) -> Kinds:
    """The class of each object below a record, and its attributes, by its path."""
    found: dict[Name, tuple[str, dict[str, Any]]] = {}
    for path, child in walk(root, attributes):
        maker = child.maker if isinstance(child, Object) else None
        # Before PyTorch 1.6 a class came with its source, at its first mention.
        if isinstance(maker, Persistent) and isinstance(maker.id, tuple):
            maker = maker.id[1] if maker.id[:1] == ("module",) and maker.id[1:] else None
        if isinstance(maker, Symbol):
            found.setdefault(path, (maker.name, dict(attributes_in(child.state))))
    return found


def foreign_in(kinds: Kinds) -> list[Name]:
    """The paths of activations and the like that VGG16 has nowhere."""
    return [path for path, (name, _) in kinds.items() if path and name in _FOREIGN]


def check_kinds(chosen: Mapping[str, Layer], kinds: Kinds) -> None:
    """See that a model says nothing of its convolutions and what is between them but VGG16's.

    Raises:
        WeightsError: another activation, another pooling, or another geometry.
    """
    paths = [chosen[name].path for name in vgg16.CONVOLUTIONS]
    for path in paths:
        if path in kinds:
            _check_geometry(path, kinds[path][1], _CONVOLUTION)
            if kinds[path][1].get("padding_mode", "zeros") != "zeros":
                raise WeightsError(f"no VGG16: {'.'.join(path)} does not pad with zeros")
    for path, (name, told) in kinds.items():
        if not path or not _is_among(path, paths, list(kinds)):
            continue
        if name in _FOREIGN:
            raise WeightsError(
                f"no VGG16: {'.'.join(path)} is of the kind {name}, among the convolutions, where "
                "VGG16 has a ReLU or a MaxPool2d of 2x2"
            )
        if name == _POOLING:
            _check_geometry(path, told, _POOL)


def _check_geometry(path: Name, told: Mapping[str, Any], expected: Mapping[str, int]) -> None:
    for part, value in expected.items():
        found = told.get(part, value)
        sides = found if isinstance(found, (tuple, list)) else [found]
        if any(isinstance(side, int) and side != value for side in sides):
            raise WeightsError(
                f"no VGG16: {'.'.join(path)} has {part} {found}, where VGG16 has {value}"
            )


def _is_among(path: Name, convolutions: Sequence[Name], order: Sequence[Name]) -> bool:
    """Whether a module is beside convolutions, and not behind the last and its pooling."""
    last = convolutions[-1]
    if not any(path[:-1] == convolution[:-1] for convolution in convolutions):
        return False
    if path[:-1] != last[:-1]:
        return True
    if path[-1].isdecimal() and last[-1].isdecimal():
        return int(path[-1]) <= int(last[-1]) + _BEHIND
    return last in order and order.index(path) <= order.index(last) + _BEHIND
