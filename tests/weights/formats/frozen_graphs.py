"""Frozen TensorFlow graphs, made by the libraries whose graphs they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tests import networks
from tests.networks import Layers
from vggfeat import vgg16

v1 = tf.compat.v1


def slim(layers: Layers, *, classes: int = 10) -> Any:
    """TF-Slim's own graph with these numbers, frozen as TensorFlow 1 froze graphs."""
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        images = v1.placeholder(tf.float32, [None, 224, 224, 3], name="images")
        with networks.narrow_slim(classes) as vgg:
            vgg.vgg_16(images, num_classes=classes, is_training=False)
        for variable in v1.global_variables():
            name, part = variable.op.name.split("/")[-2:]
            kernel, bias = layers[name]
            value = bias if part == "biases" else vgg16.convolution_shape(name, kernel.shape)
            value = bias if part == "biases" else kernel.reshape(value)
            variable.load(value, session)
        return v1.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), ["vgg_16/fc8/squeezed"]
        )


def keras_graph(model: Any) -> tuple[Any, list[str]]:
    """A Keras model as convert_variables_to_constants_v2 freezes it, its input and output."""
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    spec = tf.TensorSpec([None, 224, 224, 3], tf.float32)
    concrete = tf.function(lambda x: model(x, training=False)).get_concrete_function(spec)
    frozen = convert_variables_to_constants_v2(concrete)
    names = [tensor.name for tensor in (*frozen.inputs, *frozen.outputs)]
    return frozen.graph.as_graph_def(), names


def build(make: Any, dtype: Any = tf.float32, name: str = "images", channels: int = 3) -> Any:
    """The GraphDef of what `make` does to a placeholder."""
    with tf.Graph().as_default() as graph:
        make(v1.placeholder(dtype, [None, 224, 224, channels], name=name))
    return graph.as_graph_def()


def convolutions(x: Any, layers: Layers, *, data_format: str = "NHWC") -> Any:
    for block in vgg16.BLOCKS:
        for name in block:
            kernel, bias = layers[name]
            x = tf.nn.conv2d(x, kernel, 1, "SAME", data_format)
            x = tf.nn.relu(tf.nn.bias_add(x, bias, data_format))
        x = tf.nn.max_pool2d(x, 2, 2, "SAME", data_format)
    return x


def connected(x: Any, layers: Layers) -> Any:
    """fc6 and on behind a flatten; fc7's ReLU is called `fc7`."""
    x = tf.reshape(x, [-1, layers["fc6"][0].shape[0]])
    for name in vgg16.FULLY_CONNECTED:
        kernel, bias = layers[name]
        x = tf.matmul(x, kernel) + bias
        x = x if name == "fc8" else tf.nn.relu(x, name=name)
    return x


def network(x: Any, layers: Layers) -> Any:
    return connected(convolutions(x, layers), layers)


def write(graph: Any, path: Path) -> Path:
    path.write_bytes(graph.SerializeToString())
    return path


def run(graph: Any, output: str, feed: dict[str, Any]) -> NDArray[np.float32]:
    """What TensorFlow gives."""
    with tf.Graph().as_default() as imported:
        tf.import_graph_def(graph, name="")
        with v1.Session(graph=imported) as session:
            found: NDArray[np.float32] = session.run(output, feed)
            return found
