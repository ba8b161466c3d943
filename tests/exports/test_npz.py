"""NumPy archives with Frossard's names, loaded by NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.exports.networks import (
    convolutions,
    whole,
    without_fc8,
)
from vggfeat import exports


def test_sorted_names_are_in_the_order_that_his_script_assigns(tmp_path: Path) -> None:
    """`for i, k in enumerate(sorted(weights.keys())): parameters[i].assign(weights[k])`."""
    weights = whole()
    said = exports.export(weights, tmp_path / "vgg16_weights.npz")
    parameters = [
        weights.tensors[f"{layer}/{part}"]
        for layer in weights.layers
        for part in ("kernel", "bias")
    ]
    with np.load(tmp_path / "vgg16_weights.npz") as loaded:
        keys = sorted(loaded.keys())
        assert keys[:3] == ["conv1_1_W", "conv1_1_b", "conv1_2_W"]
        assert keys[-2:] == ["fc8_W", "fc8_b"]
        for key, expected in zip(keys, parameters, strict=True):
            np.testing.assert_array_equal(loaded[key], expected, err_msg=key)
    assert said.endswith("takes RGB pixels minus the mean 123.68, 116.779, 103.939")


@pytest.mark.parametrize(("made", "layers"), [(without_fc8, 15), (convolutions, 13)])
def test_what_the_weights_lack_is_not_in_it(tmp_path: Path, made: Any, layers: int) -> None:
    exports.export(made(), tmp_path / "some.npz")
    with np.load(tmp_path / "some.npz") as loaded:
        assert len(loaded.files) == 2 * layers
