"""The ways to keep numbers in a TensorFlow graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests import networks
from tests.weights.formats.frozen_graphs import build, network, write
from tests.weights.formats.given import LAYERS, caffe
from vggfeat import WeightsError

v1 = tf.compat.v1


def with_constants(change: Callable[[Any], None]) -> Any:
    graph = build(lambda x: network(x, LAYERS))
    for node in graph.node:
        if node.op == "Const" and node.attr["dtype"].type == tf.float32.as_datatype_enum:
            change(node.attr["value"].tensor)
    return graph


def rounded(dtype: Any) -> networks.Layers:
    return {
        name: tuple(part.astype(dtype).astype(np.float32) for part in pair)  # type: ignore[misc]
        for name, pair in LAYERS.items()
    }


def test_numbers_that_are_listed(tmp_path: Path) -> None:
    def change(tensor: Any) -> None:
        tensor.float_val.extend(tf.make_ndarray(tensor).reshape(-1).tolist())
        tensor.tensor_content = b""

    found = caffe(write(with_constants(change), tmp_path / "a.pb"))
    assert found.fingerprint == networks.weights().fingerprint


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float64])
def test_numbers_of_other_types(dtype: Any, listed: bool, tmp_path: Path) -> None:
    def change(tensor: Any) -> None:
        values = tf.make_ndarray(tensor).astype(dtype.as_numpy_dtype)
        tensor.dtype = dtype.as_datatype_enum
        tensor.tensor_content = b""
        tensor.ClearField("float_val")
        if not listed:
            tensor.tensor_content = values.tobytes()
        elif dtype is tf.float64:
            tensor.double_val.extend(values.reshape(-1).tolist())
        else:
            tensor.half_val.extend(values.reshape(-1).view(np.uint16).tolist())

    found = caffe(write(with_constants(change), tmp_path / "a.pb"))
    expected = networks.converted(rounded(dtype.as_numpy_dtype))
    assert found.fingerprint == expected.fingerprint


def test_a_bias_that_is_one_number_is_kept_as_one(tmp_path: Path) -> None:
    layers = LAYERS | {"conv3_1": (LAYERS["conv3_1"][0], np.full(16, 0.25, np.float32))}

    def change(tensor: Any) -> None:
        values = tf.make_ndarray(tensor)
        if (values == 0.25).all() and values.size == 16:
            tensor.tensor_content = b""
            tensor.float_val.append(0.25)

    graph = build(lambda x: network(x, layers))
    for node in graph.node:
        if node.op == "Const":
            change(node.attr["value"].tensor)
    found = caffe(write(graph, tmp_path / "a.pb"))
    assert found.fingerprint == networks.converted(layers).fingerprint


def conv1_1(change: Callable[[Any], None]) -> Any:
    graph = build(lambda x: network(x, LAYERS))
    kernel = next(node for node in graph.node if node.op == "Conv2D").input[1]
    change(next(node for node in graph.node if node.name == kernel).attr["value"].tensor)
    return graph


def sides(*shape: int, numbers: int | None = None) -> Callable[[Any], None]:
    def change(tensor: Any) -> None:
        for dim, side in zip(tensor.tensor_shape.dim, shape, strict=True):
            dim.size = side
        if numbers is not None:
            tensor.tensor_content = b""
            tensor.float_val.extend([0.5] * numbers)

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (sides(3, 3, 3, 1 << 31, numbers=1), "damaged: a tensor|conv1_1 has shape"),
        (sides(3, 3, 3, 1 << 24, numbers=1), "no VGG16: conv1_1"),
        (sides(3, 3, 3, 1 << 62, numbers=1), "damaged: a tensor"),
        (sides(-3, -3, 3, 4), "damaged: a tensor"),
        (sides(3, 3, 3, 2), "damaged: a tensor"),
        (sides(3, 3, 3, 4, numbers=109), "damaged: a tensor"),
        (sides(3, 3, 3, 5), "no VGG16|bias of conv1_1"),
    ],
)
def test_a_shape_that_does_not_fit_is_one_sentence(
    change: Callable[[Any], None], said: str, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=said):
        caffe(write(conv1_1(change), tmp_path / "a.pb"))


def test_a_large_kernel_of_one_number_is_not_filled_in(tmp_path: Path) -> None:
    """A file of some kilobytes would become half a gigabyte."""
    graph = build(lambda x: network(x, LAYERS))
    fc6 = next(node for node in graph.node if node.op == "MatMul").input[1]
    tensor = next(node for node in graph.node if node.name == fc6).attr["value"].tensor
    tensor.tensor_content = b""
    tensor.float_val.append(0.5)
    with pytest.raises(WeightsError, match="damaged: a kernel that is one number, repeated"):
        caffe(write(graph, tmp_path / "a.pb"))
