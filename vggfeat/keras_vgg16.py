"""VGG16 as a Keras model: the base of what others train."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vggfeat import vgg16
from vggfeat.activations import parse
from vggfeat.errors import UsageError, WeightsError
from vggfeat.keras_layers import FLOAT32, Layers, keras
from vggfeat.weights import choose

if TYPE_CHECKING:
    from vggfeat.weights import Weights

HEAD = "head"
FC7, POOLED = "fc7", "pool5:avg"
BASES = (FC7, POOLED)
TRAINABLE_FROM = (*vgg16.CONVOLUTIONS, "fc6", "fc7", HEAD)

_DROPOUT = 0.5  # of the paper, section 3.1


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
    dtype: str = FLOAT32,
    activation: str = "softmax",
) -> Any:
    """The same with a policy of precision, and with new classes as `linear` logits where asked.

    The mean is subtracted, and classes are computed, in float32 whatever the policy.
    """
    learns = _learning(weights, include_top, trainable_from)
    dropped = ("fc7", "fc8") if include_top and classes else ()
    layers = Layers(
        weights,
        learns=learns,
        dropout={layer: dropout for layer in dropped if layer in learns},
        seed=seed,
        dtype=dtype,
    )
    if classes:
        x = layers.up_to(parse(FC7 if include_top else POOLED))
        zeros = np.zeros((x.shape[-1] + 1, classes), np.float32)
        x = layers.head(x, zeros[1:], zeros[0], activation)
    else:
        last = "prob" if "fc8" in weights.layers else FC7
        x = layers.up_to(parse(last if include_top else "pool5"))
    return keras().Model(layers.images, x, name="vgg16")


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
