"""What Keras keeps in HDF5, layer by layer, in each of its three layouts.

- The published files (Keras 1): `block1_conv1/block1_conv1_W_1:0`, with attributes that list the
  layers and their weights in order.
- Keras 2, and whole models of Keras 3 in HDF5: `block1_conv1/block1_conv1/kernel:0`, attributes
  likewise; whole models below `model_weights`. A model within is one group with all its weights.
- Keras 3 `.weights.h5` and `.keras`: `layers/conv2d_1/vars/0`, by class and number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from natsort import natsorted

from vggfeat.weights.formats.containers.hdf5 import Hdf5
from vggfeat.weights.layers import Layer
from vggfeat.weights.tensors import Tensor

_KERAS_1 = re.compile(r"(?P<layer>.+)_(?P<role>W|b|gamma|beta|running_mean|running_std)(_\d+)?")
_ROLES = {"W": "kernel", "b": "bias", "running_mean": "moving_mean"}
_ROLES |= {"running_std": "moving_variance"}  # what Keras 1 keeps under that name is the variance
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")


@dataclass(frozen=True, eq=False)
class Part:
    """A layer with weights.

    Attributes:
        path: its name, behind those of the models it is in.
        place: in the layout of Keras 3 the groups that lead to it, empty in the others.
        weights: by `kernel`, `bias`, `gamma` ..., or by `0`, `1` ... in the layout of Keras 3.
    """

    path: tuple[str, ...]
    place: tuple[str, ...]
    weights: dict[str, Tensor]

    def layer(self) -> Layer | None:
        """As a convolution or dense layer, if it may be one."""
        kernel = self.weights.get("kernel", self.weights.get("0"))
        bias = self.weights.get("bias", self.weights.get("1"))
        if kernel is None or len(kernel.shape) not in (2, 4):
            return None
        if bias is not None and len(bias.shape) != 1:
            return None
        axes = "hwio" if len(kernel.shape) == 4 else "io"
        return Layer(self.path, kernel, axes, bias)

    @property
    def normalised(self) -> int | None:
        """Over how many channels it normalises batches, if it looks like doing so."""
        shapes = {tensor.shape for tensor in self.weights.values()}
        if len(self.weights) < 2 or len(shapes) != 1:
            return None
        shape = shapes.pop()
        return shape[0] if len(shape) == 1 else None


def parts_of(file: Hdf5) -> list[Part]:
    """All layers with weights, in the order of the file. Raises WeightsError."""
    root = "model_weights" if "model_weights" in file.groups else ""
    if "layer_names" in file.groups.get(root, {}):
        return list(_before_keras_3(file, root))
    return list(_of_keras_3(file))


def _before_keras_3(file: Hdf5, root: str) -> Iterator[Part]:
    for group in file.attribute(root, "layer_names"):
        whole = "/".join(filter(None, (root, group)))
        names = file.attribute(whole, "weight_names")
        by_layer: dict[str, dict[str, str]] = {}
        for name in names:
            layer, role = _split(name)
            by_layer.setdefault(layer, {})[role] = name
        for layer, roles in by_layer.items():
            weights = {role: file.tensor(f"{whole}/{name}") for role, name in roles.items()}
            container = (group,) if len(by_layer) > 1 else ()
            yield Part((*container, layer or group), (), weights)


def _split(name: str) -> tuple[str, str]:
    """`vgg16/block1_conv1/kernel:0` -> `block1_conv1`, `kernel`."""
    layer, _, last = re.sub(r":\d+$", "", name).rpartition("/")
    if old := _KERAS_1.fullmatch(last):
        return old["layer"], _ROLES.get(old["role"], old["role"])
    return layer.rpartition("/")[2], last


def _of_keras_3(file: Hdf5) -> Iterator[Part]:
    """Groups in natural order, which is the network's among those of one class."""
    members: dict[str, list[str]] = {}
    for path in file.datasets:
        group, _, name = path.rpartition("/")
        if group.rpartition("/")[2] == "vars":
            members.setdefault(group, []).append(name)
    for group in natsorted(members):
        place = tuple(p for p in group.split("/")[:-1] if p not in _CONTAINERS)
        if not place or place[0] == "optimizer":
            continue
        weights = {name: file.tensor(f"{group}/{name}") for name in members[group]}
        name = next(iter(file.attribute(group, "name")), place[-1])
        yield Part((*place[:-1], name), place, weights)
