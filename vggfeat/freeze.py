"""A frozen TensorFlow graph of the weights, for anyone who wants the `.pb` itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vggfeat import vgg16
from vggfeat.engines import check_reaches, graph
from vggfeat.errors import VggfeatError, describe_os_error
from vggfeat.quiet_tensorflow import tensorflow
from vggfeat.weights.canonical import Weights
from vggfeat.whole import whole

INPUT = "images"


def freeze(weights: Weights, output: Path, layer: str = "fc7") -> list[str]:
    """Write a GraphDef that runs the network up to `layer` in any TensorFlow.

    Input `images`, uint8 `[?,224,224,3]` RGB (the mean is subtracted inside); outputs `fc6`
    and, up to it, `fc7`, float32 `[?,4096]`, squeezed with `axis=[1,2]`.

    Returns:
        the names of the outputs.

    Raises:
        WeightsError: the weights do not reach up to the layer.
        VggfeatError: the file cannot be written.
    """
    check_reaches(weights, layer)
    tf = tensorflow()
    tensors = weights.up_to(layer)

    def constant(name: str) -> Any:
        array = tensors[name]
        shape = vgg16.convolution_shape(name.partition("/")[0], array.shape)
        return tf.constant(array.reshape(shape), name=name)

    with tf.Graph().as_default() as built:
        images = tf.compat.v1.placeholder(tf.uint8, [None, vgg16.SIZE, vgg16.SIZE, 3], name=INPUT)
        outputs = graph.outputs_as_convolutions(tf, images, constant, layer)
    _write(built.as_graph_def().SerializeToString(), output)
    return list(outputs)


def _write(data: bytes, output: Path) -> None:
    try:
        with whole(output) as file:
            file.write(data)
    except OSError as error:
        raise VggfeatError(f"{output}: cannot be written: {describe_os_error(error)}") from error
