"""The Keras model: its numbers are vggfeat's, and it learns where it is told to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vggfeat
from tests import networks
from tests.networks import relative_error
from vggfeat import Extractor, WeightsError
from vggfeat.errors import UsageError

CROPS = networks.pictures(2)


# Of keras.applications.VGG16.
NAMES = [
    *(
        f"block{block}_{layer}"
        for block, convolutions in enumerate((2, 2, 3, 3, 3), start=1)
        for layer in [*(f"conv{number + 1}" for number in range(convolutions)), "pool"]
    ),
    *("flatten", "fc1", "fc2", "predictions"),
]


def test_its_layers_give_what_vggfeat_gives_and_have_the_names_of_keras() -> None:
    import keras

    classifier = vggfeat.keras_model(networks.weights())
    outputs = {"block5_pool": "pool5", "fc1": "fc6", "fc2": "fc7", "predictions": "prob"}
    several = keras.Model(classifier.input, [classifier.get_layer(n).output for n in outputs])
    of_floats = [np.asarray(found) for found in several(CROPS.astype(np.float32))]
    for layer, found in zip(outputs.values(), of_floats, strict=True):
        expected = Extractor(networks.weights(), layer)(CROPS)
        assert relative_error(found, expected) < 1e-5
    assert (np.asarray(several(CROPS)[-1]) == of_floats[-1]).all()  # of uint8
    assert [layer.name for layer in classifier.layers][2:] == NAMES
    assert all(layer.trainable for layer in classifier.layers)


@pytest.mark.parametrize(
    ("trainable_from", "include_top", "classes", "learning"),
    [
        ("conv5_2", False, 4, ["block5_conv2", "block5_conv3", "predictions"]),
        ("fc7", True, ["a", "b", "c", "d"], ["fc2", "predictions"]),
        ("head", True, 4, ["predictions"]),
        ("conv5_3", False, None, ["block5_conv3"]),
    ],
)
def test_what_learns_is_as_asked(
    trainable_from: str, include_top: bool, classes: Any, learning: list[str]
) -> None:
    model = vggfeat.keras_model(
        networks.weights(),
        include_top=include_top,
        trainable_from=trainable_from,
        classes=classes,
    )
    found = [layer.name for layer in model.layers if layer.trainable and layer.weights]
    assert found == learning
    if classes is None:
        assert model.output_shape == (None, 7, 7, 32)
    else:
        assert np.allclose(model(CROPS[:1].astype(np.float32)), 0.25)  # a new layer knows nothing


def test_weights_may_be_without_fc8() -> None:
    model = vggfeat.keras_model(networks.weights(networks.without("fc8")))
    assert model.output_shape == (None, 256)


def test_what_cannot_be_is_one_sentence() -> None:
    convolutions = networks.weights(networks.without("fc6", "fc7", "fc8"))
    with pytest.raises(WeightsError, match="hold no fc6 and no fc7: .* without the top"):
        vggfeat.keras_model(convolutions)
    with pytest.raises(UsageError, match="no layer 'fc6' to train from; there are conv1_1"):
        vggfeat.keras_model(convolutions, include_top=False, trainable_from="fc6")
