"""VGG16s built in Keras with other settings, other layers between and before them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from tests import networks
from vggfeat import vgg16

CROPS = networks.pictures(2)
WHOLE = ("keras", "h5")
CLOSING = [list(block)[-1] for block in vgg16.BLOCKS]


def pooled(tensor: Any) -> Any:
    return layers.MaxPooling2D()(tensor)


def base(
    before: Callable[[Any], Any] = lambda tensor: tensor,
    behind: Callable[[str, Any], Any] = lambda name, tensor: (
        pooled(tensor) if name in CLOSING else tensor
    ),
    of_layer: Callable[[str], dict[str, Any]] = lambda name: {},
) -> Any:
    """The convolutions, with Keras' names.

    Args:
        before: what is done to pixels.
        behind: what is behind each convolution.
        of_layer: settings of a convolution, where they are not VGG16's.
    """
    images = keras.Input((224, 224, 3))
    tensor = before(images)
    for name in vgg16.CONVOLUTIONS:
        settings = {"padding": "same", "activation": "relu"} | of_layer(name)
        label = f"block{name[4]}_conv{name[6]}"
        tensor = layers.Conv2D(networks.NARROW[name], 3, name=label, **settings)(tensor)
        tensor = behind(name, tensor)
    return keras.Model(images, tensor)


def with_head(model: Any, first: str | None, second: str | None, flat: Any = None) -> Any:
    tensor = (flat or layers.Flatten())(model.output)
    tensor = layers.Dense(256, activation=first, name="fc1")(tensor)
    tensor = layers.Dense(256, activation=second, name="fc2")(tensor)
    return keras.Model(model.input, layers.Dense(7, name="predictions")(tensor))


def saved(model: Any, path: Path) -> Path:
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        model.save(path)
    return path


def at(names: list[str], make: Callable[[Any], Any]) -> Callable[[str, Any], Any]:
    """What is behind each convolution: poolings, but at some of them something else."""

    def behind(name: str, tensor: Any) -> Any:
        if name in names:
            return make(tensor)
        return pooled(tensor) if name in CLOSING else tensor

    return behind


def adapted(tensor: Any) -> Any:
    """A normalisation whose mean and variance are weights."""
    layer = layers.Normalization()
    layer.adapt(CROPS.astype(np.float32))
    return layer(tensor)
