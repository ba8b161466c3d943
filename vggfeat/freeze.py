"""A frozen TensorFlow graph of the weights, for anyone who wants the `.pb` itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vggfeat import frozen_graph, vgg16
from vggfeat.activations import parse
from vggfeat.engines import check_reaches
from vggfeat.errors import VggfeatError, describe_os_error
from vggfeat.exports import heads
from vggfeat.quiet_tensorflow import tensorflow
from vggfeat.weights.canonical import Weights
from vggfeat.whole import whole

if TYPE_CHECKING:
    from vggfeat.head.file import Head

INPUT = "images"
LAYERS = ("fc6", "fc7")


def freeze(
    weights: Weights,
    output: Path,
    layers: Sequence[str] = (),
    head: Head | None = None,
) -> list[str]:
    """Write a GraphDef that runs the network up to some layers, or to a head, in any TensorFlow.

    Input `images`, uint8 `[?,224,224,3]` RGB, or of the size that the head takes; the mean is
    subtracted inside. fc6, fc7 and fc8 are convolutions, squeezed to `[?,4096]` with `axis=[1,2]`.

    Args:
        layers: outputs, as `--layer` takes them, float32. Each has its name with `_` for `:`,
            such as `pool5_avg`. fc6 and fc7 if neither a layer nor a head is given.
        head: adds the outputs `logits` and `probabilities`, float32 `[?,classes]`, and the
            constant `classes`, the names as strings `[classes]`, which are written beside the
            graph too (`heads.write_classes`).

    Returns:
        the names of the outputs.

    Raises:
        UsageError: there is no such layer.
        WeightsError: the weights do not reach up to one.
        VggfeatError: the head was fitted on other weights, or the file cannot be written.
    """
    wanted = [parse(layer) for layer in layers or (() if head else LAYERS)]
    below = [parse(head.recipe.layer)] if head else []
    size = head.recipe.preprocessing.size if head else vgg16.SIZE
    if head:
        heads.check(weights, head)
    check_reaches(weights, [*wanted, *below], size)
    tf = tensorflow()

    def constant(name: str) -> Any:
        array = weights.tensors[name]
        shape = vgg16.convolution_shape(name.partition("/")[0], array.shape)
        return tf.constant(array.reshape(shape), name=name)

    with tf.Graph().as_default() as built:
        images = tf.compat.v1.placeholder(tf.uint8, [None, size, size, 3], name=INPUT)
        given = frozen_graph.outputs(tf, images, constant, [*wanted, *below])
        names = [frozen_graph.name_of(one) for one in dict.fromkeys(wanted)]
        if head:
            names += frozen_graph.headed(tf, given[below[0]], head)
    _write(built.as_graph_def().SerializeToString(), output, head)
    return names


def _write(data: bytes, output: Path, head: Head | None) -> None:
    try:
        with whole(output) as file:
            file.write(data)
        if head:
            heads.write_classes(head, output)
    except OSError as error:
        raise VggfeatError(f"{output}: cannot be written: {describe_os_error(error)}") from error
