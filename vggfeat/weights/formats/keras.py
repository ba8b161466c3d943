"""Keras files: HDF5 weights and models of every generation, and `.keras` archives.

The published `vgg16_weights_tf_dim_ordering_tf_kernels.h5` (and `..._notop.h5`) names its
layers block1_conv1 ... block5_conv3, fc1, fc2 (fc7 here) and predictions. All take BGR with
the mean 103.939, 116.779, 123.68 ('caffe' mode of keras/src/applications/vgg16.py); rows of
fc1 are in H,W,C order already.
"""

from __future__ import annotations

import itertools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from natsort import natsorted

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.weights.canonical import Weights, from_layers

if TYPE_CHECKING:
    import h5py

NAME = "Keras file"
MEAN_RGB = (123.68, 116.779, 103.939)

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_MEMBER = "model.weights.h5"
_CONNECTED = {"fc1": "fc6", "fc2": "fc7", "predictions": "fc8", "fc6": "fc6", "fc7": "fc7"}


class _Layer(NamedTuple):
    name: str
    container: str
    kernel: h5py.Dataset
    bias: h5py.Dataset


def recognise(path: Path) -> bool:
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        if file.read(len(_HDF5_MAGIC)) == _HDF5_MAGIC:
            return True
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return _MEMBER in archive.namelist()


def read(path: Path) -> Weights:
    """Read a Keras VGG16, with or without its top.

    Raises:
        WeightsError: damaged, or no VGG16.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _read(archive.open(_MEMBER), path)
        return _read(path, path)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    except (OSError, KeyError, ValueError, RuntimeError, TypeError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: damaged or no Keras file: {error}") from error


def _read(file: Any, path: Path) -> Weights:
    import h5py

    with h5py.File(file, "r") as root:
        chosen = _choose(list(_layers(root)))
        arrays = {name: (layer.kernel[()], layer.bias[()]) for name, layer in chosen.items()}
    return from_layers(arrays, mean_rgb=MEAN_RGB, channels="bgr", source=f"{NAME} {path.name}")


def _layers(root: h5py.File) -> Iterator[_Layer]:
    """All layers with a kernel and a bias, in the network's order."""
    if "model_weights" in root:
        root = root["model_weights"]
    if "layer_names" in root.attrs:
        return _layers_before_keras_3(root)
    return _layers_of_keras_3(root, "")


def _layers_before_keras_3(root: h5py.Group) -> Iterator[_Layer]:
    """Groups and weights are in the order that attributes list them; a nested model is a group."""
    for group in map(_text, root.attrs["layer_names"]):
        names = [_text(name) for name in root[group].attrs["weight_names"]]
        for kernel, bias in itertools.pairwise(names):
            pair = root[group][kernel], root[group][bias]
            if _is_layer(*pair):
                layer = re.sub(r"(_W_\d+)?(:\d+)?$", "", kernel).removesuffix("/kernel")
                container = group if len(names) > 2 else ""
                yield _Layer(layer.rpartition("/")[2], container, *pair)


def _layers_of_keras_3(group: h5py.Group, container: str) -> Iterator[_Layer]:
    """Groups are named by class and number, `conv2d`, `conv2d_1` ...; nested models nest."""
    import h5py

    for name in natsorted(group):
        member = group[name]
        if not isinstance(member, h5py.Group):
            continue
        variables = member.get("vars", {})
        if len(variables) == 2 and _is_layer(variables["0"], variables["1"]):
            layer = _text(variables.attrs.get("name", name))
            yield _Layer(layer, container, variables["0"], variables["1"])
        yield from _layers_of_keras_3(member, f"{container}/{name}")


def _is_layer(kernel: Any, bias: Any) -> bool:
    return kernel.ndim in (2, 4) and bias.ndim == 1


def _choose(layers: list[_Layer]) -> dict[str, _Layer]:
    """Which layer is which: convolutions by their order, connected ones by name or order."""
    convolutions = [layer for layer in layers if layer.kernel.shape[:-2] == (3, 3)]
    if len(convolutions) != len(vgg16.CONVOLUTIONS):
        vgg19 = len(convolutions) == len(vgg16.CONVOLUTIONS) + len(vgg16.VGG19_LAYERS)
        raise WeightsError(
            f"no VGG16: it has {len(convolutions)} 3x3 convolutions, expected 13"
            f"{' (16 are those of a VGG-19)' if vgg19 else ''}"
        )
    chosen = dict(zip(vgg16.CONVOLUTIONS, convolutions, strict=True))
    dense = [layer for layer in layers if layer.kernel.ndim == 2]
    named = {_CONNECTED[layer.name]: layer for layer in dense if layer.name in _CONNECTED}
    return chosen | (named or _by_order(dense, convolutions[0].container))


def _by_order(dense: list[_Layer], container: str) -> dict[str, _Layer]:
    """fc6, fc7 and fc8 where a file keeps no names: a square fc7 tells them from another head."""
    beside = [layer for layer in dense if layer.container == container]
    if len(beside) in (2, 3) and len({*beside[1].kernel.shape, beside[0].kernel.shape[1]}) == 1:
        return dict(zip(vgg16.FULLY_CONNECTED, beside, strict=False))
    return {}


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
