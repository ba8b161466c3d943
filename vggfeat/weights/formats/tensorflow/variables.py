"""The variables of a TensorFlow program -> the VGG16 that they are the weights of.

Slim names them `vgg_16/conv1/conv1_1/weights` and `.../biases`; graphs written by hand say kernel,
filter or W, bias or b; Keras says `block1_conv1/kernel`. In checkpoints of objects a variable has a
key besides, the way to it: `_operations/1/_kernel/.ATTRIBUTES/VARIABLE_VALUE`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.inputs import BGR, OXFORD_MEAN, RGB, Input, of_scale
from vggfeat.weights import structure
from vggfeat.weights.formats.tensorflow.normalised import NORM, with_norms
from vggfeat.weights.layers import Layer, Name, Network
from vggfeat.weights.names import natural
from vggfeat.weights.tensors import Tensor

Parts = dict[str, Tensor]

_TRACKED = "/.ATTRIBUTES/VARIABLE_VALUE"
# Components of keys below which optimizers keep what they remember of each variable.
_SLOTS = {".OPTIMIZER_SLOT", "_variables"}
_EMA = "/ExponentialMovingAverage"
_PART = re.compile(
    r"(?:(?P<layer>.+)_|_)?"
    r"(?:(?P<kernel>weights?|kernel|filters?|W|w)|(?P<bias>bias(?:es)?|b)"
    rf"|(?P<norm>{'|'.join(NORM)}))"
)
_MEAN = "mean_rgb"


@dataclass(frozen=True)
class Variable:
    """A variable of floats.

    Attributes:
        key: what the checkpoint calls it.
        tensor: its numbers.
        checksum: of its bytes, 0 where the checkpoint has none.
        name: what the program that wrote a checkpoint of objects called it, else "".
    """

    key: str
    tensor: Tensor
    checksum: int = 0
    name: str = ""


def network(form: str, variables: Iterable[Variable], *, ema: bool = False) -> Network:
    """The VGG16 among variables; what optimizers keep is passed over.

    Args:
        form: what the file is, in words.
        ema: take the exponential moving averages where there are some.

    Raises:
        WeightsError: no VGG16, or several; or no averages, where they are asked for.
    """
    ordered = sorted(variables, key=lambda variable: natural(variable.key.split("/")))
    named = _averaged(_named(ordered), ema)
    groups = _grouped(named)
    layers = _layers(groups)
    chosen = with_norms(structure.choose(layers), groups)
    _check_biases(chosen, named)
    declared, by = _declared(chosen[vgg16.CONVOLUTIONS[0]].path, named)
    return Network(form, chosen, declared, by)


def _named(variables: Sequence[Variable]) -> dict[str, Tensor]:
    """By name, where names tell all variables apart, else by key."""
    kept = [variable for variable in variables if not _SLOTS & set(variable.key.split("/"))]
    by_name: dict[str, Variable] = {}
    for variable in kept:
        other = by_name.setdefault(variable.name or _untracked(variable.key), variable)
        # Keras' export keeps each variable twice, in a list of all and in a list of the model's.
        same = other.checksum == variable.checksum and other.tensor.shape == variable.tensor.shape
        if not same:
            return {_untracked(variable.key): variable.tensor for variable in kept}
    return {name: variable.tensor for name, variable in by_name.items()}


def _untracked(key: str) -> str:
    return key.removesuffix(_TRACKED)


def _averaged(variables: dict[str, Tensor], ema: bool) -> dict[str, Tensor]:
    averages = {n.removesuffix(_EMA): t for n, t in variables.items() if n.endswith(_EMA)}
    if not ema:
        return {name: tensor for name, tensor in variables.items() if not name.endswith(_EMA)}
    if not averages:
        raise WeightsError("it holds no exponential moving averages")
    return variables | averages


def _grouped(variables: Mapping[str, Tensor]) -> dict[Name, Parts]:
    """The parts of each layer, `kernel`, `bias` and those of a normalisation, by its path."""
    groups: dict[Name, Parts] = {}
    for name, tensor in variables.items():
        *path, last = name.split("/")
        if match := _PART.fullmatch(last):
            if match["layer"] and path[-1:] != [match["layer"]]:
                path.append(match["layer"])
            part = match["norm"] or ("kernel" if match["kernel"] else "bias")
            groups.setdefault(tuple(path), {}).setdefault(part, tensor)
    return groups


def _layers(groups: Mapping[Name, Parts]) -> list[Layer]:
    """The layers whose parts are all there: Slim's normalisation stands in for the bias.

    Where no 3x3 convolution is whole in this way, a network without biases is looked for.
    """
    layers = [layer for path, parts in groups.items() if (layer := _layer(path, parts))]
    whole = [layer for layer in layers if layer.bias or (*layer.path, "BatchNorm") in groups]
    return whole if any(layer.extent == (3, 3) for layer in whole) else layers


def _layer(path: Name, parts: Parts) -> Layer | None:
    kernel = parts.get("kernel")
    axes = {4: "hwio", 2: "io"}.get(len(kernel.shape)) if kernel else None
    return Layer(path, kernel, axes, parts.get("bias")) if kernel and axes else None


def _check_biases(chosen: Mapping[str, Layer], variables: Mapping[str, Tensor]) -> None:
    """See that no layer without a bias has one by a name that is not known."""
    for layer in chosen.values():
        scope = "".join(f"{part}/" for part in layer.path)
        for name, tensor in variables.items() if layer.bias is None else ():
            inside = name.removeprefix(scope) if name.startswith(scope) else ""
            if tensor.shape == (layer.outputs,) and inside and "/" not in inside:
                raise WeightsError(
                    f"{scope[:-1]} has no bias, but {inside} is beside its kernel, as wide as it: "
                    "vggfeat does not know what that is"
                )


def _declared(conv1_1: Name, variables: Mapping[str, Tensor]) -> tuple[Input | None, str]:
    """What the name of the first layer says that it takes, and whose names these are."""
    name = conv1_1[-1] if conv1_1 else ""
    if name.startswith("block1"):
        return of_scale(BGR, "caffe"), "the names of keras.applications"
    if name == vgg16.CONVOLUTIONS[0]:
        mean = _mean(conv1_1, variables) or OXFORD_MEAN
        return replace(of_scale(RGB, "caffe"), mean=mean), "TF-Slim's names"
    return None, ""


def _mean(conv1_1: Name, variables: Mapping[str, Tensor]) -> tuple[float, float, float] | None:
    """What Slim's `vgg_16/mean_rgb` says; Oxford's exactly where it is a rounded form of that."""
    for name, tensor in variables.items():
        *scope, last = name.split("/")
        if last == _MEAN and tensor.shape == (3,) and conv1_1[: len(scope)] == tuple(scope):
            red, green, blue = map(float, tensor.read())
            if np.allclose((red, green, blue), OXFORD_MEAN, rtol=0, atol=0.01):
                return OXFORD_MEAN
            if not all(0 <= value <= 255 for value in (red, green, blue)):
                raise WeightsError(f"damaged: {name} holds {red:g}, {green:g}, {blue:g}")
            return red, green, blue
    return None
