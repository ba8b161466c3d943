"""VGG16 in Keras' layers, made, connected and filled one after the other.

They have the names and the order of `keras.applications.VGG16`
(keras/src/applications/vgg16.py). Unlike that, the first one takes RGB pixels as they are, and
subtracts the mean.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Container, Mapping
from typing import Any

from vggfeat import vgg16
from vggfeat.activations import AVG, FLAT, MAX, Activation
from vggfeat.quiet_tensorflow import tensorflow
from vggfeat.weights import names
from vggfeat.weights.canonical import Float32, Weights
from vggfeat.weights.mapped import forget

PREDICTIONS = names.keras("fc8")
FLOAT32 = "float32"

_POOLED = {
    AVG: ("GlobalAveragePooling2D", "avg_pool"),
    MAX: ("GlobalMaxPooling2D", "max_pool"),
}
# Whatever the settings of the Keras here are.
_LAST = {"data_format": "channels_last"}


def keras() -> Any:
    """The keras module, with TensorFlow behind it unless another is in use already."""
    tensorflow()
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    return importlib.import_module("keras")


class Layers:
    """The layers of one model.

    Args:
        weights: what they are filled with.
        size: of the images, in pixels.
        fc8: what that layer is called.
        learns: the layers of `weights` that are trainable.
        dropout: rates, by the layer that takes what is left.
        seed: of the dropout.
        dtype: policy of all but the mean and fc8, which are float32 in any case.
    """

    def __init__(
        self,
        weights: Weights,
        *,
        size: int = vgg16.SIZE,
        fc8: str = PREDICTIONS,
        learns: Container[str] = vgg16.LAYERS,
        dropout: Mapping[str, float] | None = None,
        seed: int = 0,
        dtype: str = FLOAT32,
    ) -> None:
        self._keras = keras().layers
        self._tensors = weights.tensors
        self._fc8, self._learns, self._dtype = fc8, learns, dtype
        self._dropout, self._seed = dropout or {}, seed
        self._windows = size >> len(vgg16.BLOCKS) > vgg16.POOLED_SIZE
        self.images = self._keras.Input((size, size, 3), name="images", dtype=FLOAT32)

    def up_to(self, wanted: Activation) -> Any:
        """What the network gives for images."""
        mean = [-float(value) for value in self._tensors["mean"]]
        x = self._keras.Rescaling(1.0, mean, name="minus_mean", dtype=FLOAT32)(self.images)
        for layer in vgg16.MAPS:
            if layer in vgg16.CONVOLUTIONS:
                x = self._convolution(layer, x, wanted, 3)
            else:
                x = self._of_map("MaxPooling2D", f"block{layer[4]}_pool")(x)
            if layer == wanted.layer:
                return self._vector(x, wanted.pooling)
        return self._windowed(x, wanted) if self._windows else self._connected(x, wanted)

    def head(self, x: Any, kernel: Float32, bias: Float32, activation: str = "softmax") -> Any:
        """What classes that stand on x give. They learn."""
        named = {"name": PREDICTIONS, "activation": activation, "dtype": FLOAT32}
        return _filled(self._keras.Dense(len(bias), **named), self._dropped("fc8", x), kernel, bias)

    def normalized(self, x: Any) -> Any:
        """Rows of length 1."""
        return self._keras.UnitNormalization(name="normalized", dtype=FLOAT32)(x)

    def _vector(self, x: Any, pooling: str) -> Any:
        if pooling in _POOLED:
            return self._of_map(*_POOLED[pooling])(x)
        return self._of_map("Flatten", "flatten")(x) if pooling else x

    def _of_map(self, kind: str, name: str) -> Any:
        return getattr(self._keras, kind)(name=name, dtype=self._dtype, **_LAST)

    def _connected(self, x: Any, wanted: Activation) -> Any:
        x = self._vector(x, FLAT)
        for layer in _connected_in(wanted):
            kernel, bias = self._parts(layer)
            last = "softmax" if layer == "fc8" and wanted.layer == "prob" else None
            named = self._named(layer, _activation(layer, wanted) or last)
            x = _filled(
                self._keras.Dense(len(bias), **named), self._dropped(layer, x), kernel, bias
            )
        return x

    def _windowed(self, x: Any, wanted: Activation) -> Any:
        """The same as convolutions over a larger map, whose positions are averaged."""
        for layer in _connected_in(wanted):
            x = self._convolution(layer, x, wanted, vgg16.POOLED_SIZE if layer == "fc6" else 1)
        x = self._vector(x, AVG)
        return self._keras.Softmax(name="prob", dtype=FLOAT32)(x) if wanted.layer == "prob" else x

    def _convolution(self, layer: str, x: Any, wanted: Activation, side: int) -> Any:
        kernel, bias = self._parts(layer)
        padding = "same" if layer in vgg16.CONVOLUTIONS else "valid"
        named = self._named(layer, _activation(layer, wanted))
        made = self._keras.Conv2D(len(bias), side, padding=padding, **named, **_LAST)
        return _filled(made, x, kernel.reshape(vgg16.convolution_shape(layer, kernel.shape)), bias)

    def _dropped(self, layer: str, x: Any) -> Any:
        rate = self._dropout.get(layer)
        if not rate:
            return x
        named = {"name": f"dropout_{layer}", "dtype": self._dtype}
        return self._keras.Dropout(rate, seed=self._seed, **named)(x)

    def _parts(self, layer: str) -> tuple[Float32, Float32]:
        return self._tensors[f"{layer}/kernel"], self._tensors[f"{layer}/bias"]

    def _named(self, layer: str, activation: str | None) -> dict[str, Any]:
        """What all layers of the network's weights have in common."""
        return {
            "name": self._fc8 if layer == "fc8" else names.keras(layer),
            "activation": activation,
            "trainable": layer in self._learns,
            "dtype": FLOAT32 if layer == "fc8" else self._dtype,
            "kernel_initializer": "zeros",  # since the weights follow at once
        }


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
