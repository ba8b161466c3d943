"""VGG16-shaped networks with narrow layers, and the graphs of the frameworks that run them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from vggfeat import vgg16
from vggfeat.inputs import of_scale
from vggfeat.weights import structure
from vggfeat.weights.canonical import Weights
from vggfeat.weights.convert import convert
from vggfeat.weights.layers import Layer, Network
from vggfeat.weights.origin import Origin
from vggfeat.weights.tensors import of_array

FRACTION = 16
NARROW = {name: max(width // FRACTION, 1) for name, width in vgg16.WIDTHS.items()} | {"fc8": 10}
MEAN_RGB = (123.68, 116.779, 103.939)

Layers = dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]


def layers(widths: dict[str, int] = NARROW, seed: int = 0) -> Layers:
    """Kernels (fully connected ones dense) and biases that are all different from zero."""
    generator = np.random.default_rng(seed)
    made: Layers = {}
    channels = 3
    for name, width in widths.items():
        if name in vgg16.CONVOLUTIONS:
            shape: tuple[int, ...] = (3, 3, channels, width)
        else:
            shape = (channels * (49 if name == "fc6" else 1), width)
        scale = (2 / np.prod(shape[:-1])) ** 0.5
        kernel = (generator.standard_normal(shape) * scale).astype(np.float32)
        made[name] = kernel, generator.normal(0, 5, width).astype(np.float32)
        channels = width
    return made


def converted(made: Layers, channels: str = "rgb") -> Weights:
    """What layers become that a file has kept in this order of channels."""
    kept = {
        name: Layer((name,), of_array(kernel), "hwio" if kernel.ndim == 4 else "io", of_array(bias))
        for name, (kernel, bias) in made.items()
    }
    structure.check(kept)
    taken = of_scale(channels, "caffe")
    tensors = dict(convert(Network("made for a test", kept, taken), taken))
    return Weights(tensors, Origin("made for a test", "unknown", channels, "caffe"))


def weights(widths: dict[str, int] = NARROW, seed: int = 0) -> Weights:
    return converted(layers(widths, seed))


def without(*names: str) -> dict[str, int]:
    return {name: width for name, width in NARROW.items() if name not in names}


def relative_error(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """The largest error of any row, relative to the row's norm."""
    assert found.shape == expected.shape
    flat_found, flat_expected = (a.reshape(len(a), -1).astype(float) for a in (found, expected))
    norms = np.linalg.norm(flat_expected, axis=1)
    assert (norms > 0).all()
    return float((np.linalg.norm(flat_found - flat_expected, axis=1) / norms).max())


def pictures(count: int = 3, seed: int = 1) -> NDArray[np.uint8]:
    """Crops with structure: smooth colours and noise. uint8 `[count,224,224,3]`."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (count, 7, 7, 3))
    smooth = coarse.repeat(32, axis=1).repeat(32, axis=2)
    noise = generator.integers(-20, 21, (count, 224, 224, 3))
    return (smooth + noise).clip(0, 255).astype(np.uint8)


@contextlib.contextmanager
def narrow_slim(classes: int | None) -> Iterator[Any]:
    """`tf_slim.nets.vgg` with every layer but the last cut to a sixteenth of its width."""
    from tf_slim.nets import vgg

    real = vgg.layers.conv2d

    def conv2d(inputs: Any, width: int, *args: Any, **options: Any) -> Any:
        return real(inputs, width if width == classes else width // FRACTION, *args, **options)

    conv2d._key_op = real._key_op  # type: ignore[attr-defined]  # what arg_scope knows it by
    with mock.patch.object(vgg.layers, "conv2d", conv2d):
        yield vgg


def keras_vgg16(*, narrow: bool = True, seed: int = 0, **options: Any) -> Any:
    """`keras.applications.VGG16` with random weights, biases too."""
    import keras
    from keras.src.applications import vgg16 as module

    def cut(layer: Any) -> Any:
        def make(width: int, *args: Any, **named: Any) -> Any:
            wide = named.get("name") != "predictions"
            return layer(width // FRACTION if wide else width, *args, **named)

        return make

    thin = SimpleNamespace(**{name: getattr(keras.layers, name) for name in dir(keras.layers)})
    thin.Conv2D, thin.Dense = cut(keras.layers.Conv2D), cut(keras.layers.Dense)
    with mock.patch.object(module, "layers", thin if narrow else module.layers):
        model = keras.applications.VGG16(weights=None, **options)
    generator = np.random.default_rng(seed)
    for layer in model.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, generator.normal(0, 5, bias.shape)])
    return model


def keras_features(model: Any, layer: str, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What Keras itself gives for RGB crops, through its own preprocessing."""
    import keras

    part = keras.Model(model.inputs, model.get_layer(layer).output)
    prepared = keras.applications.vgg16.preprocess_input(crops.astype(np.float32))
    return np.asarray(part(prepared, training=False))
