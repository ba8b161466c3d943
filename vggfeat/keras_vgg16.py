"""VGG16 as a Keras model: the base of what others train.

Layers have the names and the order of `keras.applications.VGG16`
(keras/src/applications/vgg16.py). Unlike that, it takes RGB pixels as they are, and subtracts the
mean in its first layer.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Collection, Container, Sequence
from typing import TYPE_CHECKING, Any

from vggfeat import vgg16
from vggfeat.errors import UsageError, WeightsError
from vggfeat.quiet_tensorflow import tensorflow
from vggfeat.weights import choose, names

if TYPE_CHECKING:
    from vggfeat.weights import Weights

HEAD = "head"
FC7, POOLED = "fc7", "pool5:avg"
BASES = (FC7, POOLED)
TRAINABLE_FROM = (*vgg16.CONVOLUTIONS, "fc6", "fc7", HEAD)

_DROPOUT = 0.5  # of the paper, section 3.1
_FLOAT32 = "float32"
_LAST = {"data_format": "channels_last"}  # whatever Keras' own settings say


def keras() -> Any:
    """The keras module, with TensorFlow behind it unless another is in use already."""
    tensorflow()
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    return importlib.import_module("keras")


def keras_model(
    weights: str | os.PathLike[str] | Weights | None = None,
    *,
    include_top: bool = True,
    trainable_from: str | None = None,
    classes: int | Sequence[str] | None = None,
    dropout: float = _DROPOUT,
    seed: int = 0,
) -> Any:
    """VGG16 as a `keras.Model` that takes RGB pixels, `[n,224,224,3]` in 0..255, float32 or uint8.

        model = vggfeat.keras_model("keras", include_top=False, trainable_from="conv5_1", classes=5)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])

    What it gives depends on the two arguments that say where it ends:

    - with its top: the classes of the weights' fc8 (`predictions`, softmax) if they have it, else
      fc7, float32 `[n,4096]`;
    - without it: pool5, float32 `[n,7,7,512]`;
    - with new `classes`: their probabilities, `[n,classes]`, by a new layer `predictions` on fc7,
      or without the top on pool5's average. Its kernel is zero at first, so that all are equal.

    Args:
        weights: a name in the store, a file of any known form, or `Weights`; None for the default
            that the command would take.
        include_top: with fc6 and fc7.
        trainable_from: the lowest layer that learns, `conv1_1` to `conv5_3`, `fc6`, `fc7`, or
            `head` for nothing but the classes; the layers below have `trainable=False`. None: all
            layers learn.
        classes: new ones, in place of fc8: their number or their names.
        dropout: before each fully connected layer that learns behind fc6, where there are new
            classes.
        seed: of the dropout.

    Raises:
        WeightsError: no such weights, or they have no fc6 and fc7.
        UsageError: no such layer.
    """
    chosen = choose(weights)
    count = len(classes) if classes is not None and not isinstance(classes, int) else classes
    return build(
        chosen,
        include_top=include_top,
        trainable_from=trainable_from,
        classes=count,
        dropout=dropout,
        seed=seed,
    )


def build(
    weights: Weights,
    *,
    include_top: bool,
    trainable_from: str | None,
    classes: int | None,
    dropout: float = _DROPOUT,
    seed: int = 0,
    dtype: str = _FLOAT32,
    activation: str = "softmax",
) -> Any:
    """The same with a policy of precision, and with new classes as `linear` logits where asked.

    The mean is subtracted, and classes are computed, in float32 whatever the policy.
    """
    learns = _learning(weights, include_top, trainable_from)
    layers = keras().layers
    inputs = layers.Input((vgg16.SIZE, vgg16.SIZE, 3), name="images")
    mean = [-float(value) for value in weights.tensors["mean"]]
    x = layers.Rescaling(1.0, mean, name="minus_mean", dtype=_FLOAT32)(inputs)
    x = _convolutions(x, weights, learns, dtype)
    if include_top:
        x = _top(x, weights, learns, dtype, dropout if classes else 0.0, seed)
    elif classes:
        x = layers.GlobalAveragePooling2D(name="avg_pool", dtype=dtype, **_LAST)(x)
    if classes or (include_top and "fc8" in weights.layers):
        named = _named("fc8", learns, _FLOAT32)
        count = classes or weights.width_of["fc8"]
        x = layers.Dense(count, activation=activation, **named)(x)
    model = keras().Model(inputs, x, name="vgg16")
    _fill(model, weights, without=("fc8",) if classes else ())
    return model


def _convolutions(x: Any, weights: Weights, learns: Container[str], dtype: str) -> Any:
    layers = keras().layers
    for number, block in enumerate(vgg16.BLOCKS, start=1):
        for layer in block:
            named = _named(layer, learns, dtype)
            width = weights.width_of[layer]
            x = layers.Conv2D(width, 3, padding="same", activation="relu", **named, **_LAST)(x)
        x = layers.MaxPooling2D(name=f"block{number}_pool", dtype=dtype, **_LAST)(x)
    return x


def _top(
    x: Any, weights: Weights, learns: Container[str], dtype: str, dropout: float, seed: int
) -> Any:
    """fc6 and fc7, each with dropout where what follows it learns."""
    layers = keras().layers
    x = layers.Flatten(name="flatten", dtype=dtype, **_LAST)(x)
    for layer, above in (("fc6", "fc7"), ("fc7", "fc8")):
        named = _named(layer, learns, dtype)
        x = layers.Dense(weights.width_of[layer], activation="relu", **named)(x)
        if dropout and above in learns:
            x = layers.Dropout(dropout, seed=seed, name=f"dropout_{above}", dtype=dtype)(x)
    return x


def _named(layer: str, learns: Container[str], dtype: str) -> dict[str, Any]:
    """What all layers with weights have in common. Zeros, since the weights follow at once."""
    return {
        "name": names.keras(layer),
        "trainable": layer in learns,
        "dtype": dtype,
        "kernel_initializer": "zeros",
    }


def _fill(model: Any, weights: Weights, without: Collection[str]) -> None:
    present = {layer.name: layer for layer in model.layers}
    for name in weights.layers:
        if name not in without and (layer := present.get(names.keras(name))):
            layer.kernel.assign(weights.tensors[f"{name}/kernel"])
            layer.bias.assign(weights.tensors[f"{name}/bias"])


def _learning(weights: Weights, include_top: bool, trainable_from: str | None) -> set[str]:
    """The layers that learn, fc8 among them in any case."""
    lacking = [name for name in ("fc6", "fc7") if include_top and name not in weights.layers]
    if lacking:
        raise WeightsError(
            f"the weights ({weights.source}) hold no {' and no '.join(lacking)}: give others, or "
            "do without the top"
        )
    order = [name for name in TRAINABLE_FROM if include_top or name not in ("fc6", "fc7")]
    if trainable_from is not None and trainable_from not in order:
        raise UsageError(f"no layer {trainable_from!r} to train from; there are {', '.join(order)}")
    return {"fc8", *order[order.index(trainable_from) if trainable_from else 0 :]}
