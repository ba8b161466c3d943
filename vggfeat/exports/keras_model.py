"""A whole Keras model, written by Keras: `keras.models.load_model(FILE)` needs nothing else.

RGB pixels 0..255 `[n,224,224,3]` go in; a `Rescaling` layer subtracts the mean. Layers are named
as those of keras.applications.VGG16. Without a head it ends in `predictions`, a softmax, or in
the last layer that the weights hold. With a head it goes as far as the head's layer, and ends in
the head as `predictions`.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from vggfeat import vgg16
from vggfeat.activations import AVG, FLAT, MAX, Activation, parse
from vggfeat.errors import UsageError
from vggfeat.keras_vgg16 import keras
from vggfeat.quiet_tensorflow import quietly
from vggfeat.weights import names
from vggfeat.weights.canonical import Float32, Weights
from vggfeat.weights.mapped import forget
from vggfeat.whole import put

if TYPE_CHECKING:
    from vggfeat.head.file import Head

_SUFFIX = ".keras"
_PREDICTIONS = names.keras("fc8")
_POOLED = {
    AVG: ("GlobalAveragePooling2D", "avg_pool"),
    MAX: ("GlobalMaxPooling2D", "max_pool"),
}
# Whatever the settings of the Keras here are.
_FLOATS = {"dtype": "float32"}
_MAPS = {**_FLOATS, "data_format": "channels_last"}


def check_name(path: Path) -> None:
    """Raises UsageError: a name by which Keras would not know a model."""
    if path.suffix != _SUFFIX:
        raise UsageError(f"{path}: Keras reads a model from a file whose name ends in {_SUFFIX}")


def write(weights: Weights, path: Path, head: Head | None = None) -> str:
    """Write the file. Raises OSError, VggfeatError."""
    framework = keras()
    size = head.recipe.preprocessing.size if head else vgg16.SIZE
    with framework.device("cpu"), quietly():
        images = framework.Input((size, size, 3), name="images", **_FLOATS)
        network = _Network(framework.layers, weights, size, "fc8" if head else _PREDICTIONS)
        x = _headed(network, images, head) if head else network.up_to(images, _last(weights))
        _save(framework.Model(images, x, name="vgg16"), path)
    return f"takes RGB pixels 0..255 [n,{size},{size},3], and subtracts the mean itself"


def _save(model: Any, path: Path) -> None:
    """In a folder of our own first, since Keras puts large weights beside its file for a while."""
    with TemporaryDirectory(".part", f".{path.name}.", path.parent) as folder:
        written = Path(folder) / path.name
        failed = None
        try:
            model.save(written)
        except (OSError, RuntimeError) as error:
            failed = _of_system(error)
            if failed is None:
                raise
        if failed:  # raised here, where the other one has let go of that file
            raise failed
        put(written, path)


def _of_system(error: Exception) -> OSError | None:
    """What the system said: HDF5 puts it into a paragraph of its own, and not always an OSError."""
    found = re.search(r"errno = (\d+)", str(error))
    number = int(found[1]) if found else getattr(error, "errno", None)
    return None if number is None else OSError(number, os.strerror(number))


def _last(weights: Weights) -> Activation:
    """The last output that the weights reach."""
    reached = [name for name, parts in vgg16.OUTPUTS.items() if set(parts) <= set(weights.layers)]
    return Activation(reached[-1])


def _headed(network: _Network, images: Any, head: Head) -> Any:
    wanted = parse(head.recipe.layer)
    x = network.up_to(images, replace(wanted, pooling=wanted.pooling or FLAT))
    if head.recipe.normalize:
        x = network.layers.UnitNormalization(name="normalized", **_FLOATS)(x)
    return network.dense(x, head.kernel, head.bias, activation="softmax", name=_PREDICTIONS)


class _Network:
    """Layers that are made, connected and filled one after the other."""

    def __init__(self, layers: Any, weights: Weights, size: int, fc8: str) -> None:
        self.layers = layers
        self._tensors = weights.tensors
        self._fc8 = fc8  # what it is called
        self._windows = size >> len(vgg16.BLOCKS) > vgg16.POOLED_SIZE

    def up_to(self, x: Any, wanted: Activation) -> Any:
        """What the network gives for images."""
        mean = [-float(value) for value in self._tensors["mean"]]
        x = self.layers.Rescaling(1.0, mean, name="minus_mean", **_FLOATS)(x)
        for layer in vgg16.MAPS:
            if layer in vgg16.CONVOLUTIONS:
                x = self._convolution(layer, x, wanted, 3)
            else:
                x = self.layers.MaxPooling2D(2, name=f"block{layer[4]}_pool", **_MAPS)(x)
            if layer == wanted.layer:
                return self._vector(x, wanted.pooling)
        return self._windowed(x, wanted) if self._windows else self._connected(x, wanted)

    def dense(self, x: Any, kernel: Float32, bias: Float32, **named: Any) -> Any:
        return _filled(self.layers.Dense(len(bias), **named, **_FLOATS), x, kernel, bias)

    def _vector(self, x: Any, pooling: str) -> Any:
        if pooling in _POOLED:
            kind, name = _POOLED[pooling]
            return getattr(self.layers, kind)(name=name, **_MAPS)(x)
        return self.layers.Flatten(name="flatten", **_MAPS)(x) if pooling else x

    def _connected(self, x: Any, wanted: Activation) -> Any:
        x = self._vector(x, FLAT)
        for layer in _connected_in(wanted):
            last = "softmax" if wanted.layer == "prob" and layer == "fc8" else None
            activation = _activation(layer, wanted) or last
            x = self.dense(x, *self._parts(layer), activation=activation, name=self._name(layer))
        return x

    def _windowed(self, x: Any, wanted: Activation) -> Any:
        """The same as convolutions over a larger map, whose positions are averaged."""
        for layer in _connected_in(wanted):
            x = self._convolution(layer, x, wanted, vgg16.POOLED_SIZE if layer == "fc6" else 1)
        x = self._vector(x, AVG)
        return self.layers.Softmax(name="prob", **_FLOATS)(x) if wanted.layer == "prob" else x

    def _convolution(self, layer: str, x: Any, wanted: Activation, side: int) -> Any:
        kernel, bias = self._parts(layer)
        made = self.layers.Conv2D(
            len(bias),
            side,
            padding="same" if layer in vgg16.CONVOLUTIONS else "valid",
            activation=_activation(layer, wanted),
            name=self._name(layer),
            **_MAPS,
        )
        return _filled(made, x, kernel.reshape(vgg16.convolution_shape(layer, kernel.shape)), bias)

    def _parts(self, layer: str) -> tuple[Float32, Float32]:
        return self._tensors[f"{layer}/kernel"], self._tensors[f"{layer}/bias"]

    def _name(self, layer: str) -> str:
        return self._fc8 if layer == "fc8" else names.keras(layer)


def _connected_in(wanted: Activation) -> list[str]:
    return [layer for layer in wanted.parts if layer in vgg16.FULLY_CONNECTED]


def _activation(layer: str, wanted: Activation) -> str | None:
    linear = layer == "fc8" or (layer == wanted.layer and wanted.linear)
    return None if linear else "relu"


def _filled(layer: Any, x: Any, kernel: Float32, bias: Float32) -> Any:
    """What a layer gives for x, once it holds its numbers."""
    given = layer(x)
    layer.set_weights([kernel, bias])
    forget(kernel)
    return given
