"""Checkpoints that TF-Slim's own graph restores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_slim as slim
from numpy.typing import NDArray

from tests import networks
from tests.exports.networks import (
    CROPS,
    OTHER_MEAN,
    whole,
    with_mean,
    without_fc8,
)
from tests.networks import relative_error
from vggfeat import Extractor, exports

v1 = tf.compat.v1


def restored(
    prefix: Path,
    point: str,
    *,
    without: tuple[str, ...] = (),
    crops: NDArray[np.uint8] = CROPS,
    classes: int = 10,
) -> NDArray[np.float32]:
    """What Slim computes with its variables from the checkpoint, the mean too."""
    with tf.Graph().as_default(), networks.narrow_slim(classes) as vgg:
        mean = v1.get_variable("vgg_16/mean_rgb", [3])
        v1.train.get_or_create_global_step()
        with slim.arg_scope(vgg.vgg_arg_scope()):
            images = tf.constant(crops.astype(np.float32)) - mean
            _, points = vgg.vgg_16(images, classes, is_training=False)
        variables = slim.get_variables_to_restore(exclude=without)
        with v1.Session() as session:
            v1.train.Saver(variables).restore(session, str(prefix))
            found: NDArray[np.float32] = session.run(points[point])
            return found


@pytest.mark.parametrize(
    ("made", "mean"),
    [(whole, "123.68, 116.779, 103.939"), (lambda: with_mean(OTHER_MEAN), "104, 117, 123")],
    ids=["Oxford's mean", "another mean"],
)
def test_slim_restores_it_and_gives_the_same_fc7(tmp_path: Path, made: Any, mean: str) -> None:
    weights = made()
    said = exports.export(weights, tmp_path / "vgg_16.ckpt")
    assert f"takes RGB pixels minus the mean {mean};" in said
    found = restored(tmp_path / "vgg_16.ckpt", "vgg_16/fc7")
    assert found.shape == (3, 1, 1, 256)
    assert relative_error(found[:, 0, 0], Extractor(weights)(CROPS)) < 1e-5


def test_fc8_goes_with_it(tmp_path: Path) -> None:
    weights = whole()
    exports.export(weights, tmp_path / "vgg_16.ckpt")
    kernel, bias = weights.tensors["fc8/kernel"], weights.tensors["fc8/bias"]
    expected = Extractor(weights)(CROPS) @ kernel + bias
    found = restored(tmp_path / "vgg_16.ckpt", "vgg_16/fc8")
    assert relative_error(found, expected) < 1e-5


def test_without_fc8_slim_restores_all_else_as_for_a_fine_tune(tmp_path: Path) -> None:
    exports.export(without_fc8(), tmp_path / "vgg_16.ckpt")
    found = restored(tmp_path / "vgg_16.ckpt", "vgg_16/fc7", without=("vgg_16/fc8",))
    assert relative_error(found[:, 0, 0], Extractor(without_fc8())(CROPS)) < 1e-5


def test_it_holds_the_variables_of_the_published_checkpoint(tmp_path: Path) -> None:
    exports.export(whole(), tmp_path / "vgg_16.ckpt")
    assert {file.name for file in tmp_path.iterdir()} == {
        "vgg_16.ckpt.index",
        "vgg_16.ckpt.data-00000-of-00001",
    }
    reader = tf.train.load_checkpoint(str(tmp_path / "vgg_16.ckpt"))
    shapes = reader.get_variable_to_shape_map()
    assert len(shapes) == 2 * 16 + 2
    assert shapes["vgg_16/conv3/conv3_2/weights"] == [3, 3, 16, 16]
    assert shapes["vgg_16/conv3/conv3_2/biases"] == [16]
    assert shapes["vgg_16/fc6/weights"] == [7, 7, 32, 256]
    assert shapes["vgg_16/fc7/weights"] == [1, 1, 256, 256]
    assert shapes["vgg_16/fc8/weights"] == [1, 1, 256, 10]
    assert shapes["vgg_16/mean_rgb"] == [3]
    assert shapes["global_step"] == []
    assert reader.get_variable_to_dtype_map()["global_step"] == tf.int64


def test_the_name_of_the_index_stands_for_the_checkpoint(tmp_path: Path) -> None:
    said = exports.export(whole(), tmp_path / "model.index")
    assert said.endswith(f"the checkpoint is named {tmp_path / 'model'}")
    assert {file.name for file in tmp_path.iterdir()} == {
        "model.index",
        "model.data-00000-of-00001",
    }
