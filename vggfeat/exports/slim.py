"""A TF-Slim checkpoint of `tf_slim.nets.vgg.vgg_16`, in TensorFlow's V2 form, by TensorFlow.

The variables of the published `vgg_16_2016_08_28.tar.gz`: fully connected layers as convolutions
(`vgg_16/fc6/weights [7,7,512,4096]`), `vgg_16/mean_rgb [3]`, and `global_step`. FILE is the
prefix of `FILE.index` and `FILE.data-00000-of-00001`, which is what TensorFlow's `Saver` takes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat import vgg16
from vggfeat.errors import VggfeatError
from vggfeat.exports import pixels
from vggfeat.quiet_tensorflow import quietly, tensorflow
from vggfeat.weights.canonical import Weights
from vggfeat.whole import beside, put

_SCOPE = "vgg_16"
_DATA, _INDEX = ".data-00000-of-00001", ".index"


def write(weights: Weights, path: Path) -> str:
    """Write the two files. The index goes last: it is what makes a checkpoint.

    Raises:
        OSError, VggfeatError: they cannot be written.
    """
    prefix = path.with_name(path.name.removesuffix(_INDEX))
    with beside(prefix) as part:
        _save(prefix, part, dict(_variables(weights)))
        for suffix in (_DATA, _INDEX):
            put(Path(f"{part}{suffix}"), Path(f"{prefix}{suffix}"))
    mean = pixels.words(pixels.plain(weights).mean)
    return f"takes RGB pixels minus the mean {mean}; the checkpoint is named {prefix}"


def _variables(weights: Weights) -> Iterator[tuple[str, NDArray[Any]]]:
    for layer in weights.layers:
        name = f"{layer[:5]}/{layer}" if layer in vgg16.CONVOLUTIONS else layer
        kernel, bias = (weights.tensors[f"{layer}/{part}"] for part in ("kernel", "bias"))
        shape = vgg16.convolution_shape(layer, kernel.shape)
        yield f"{_SCOPE}/{name}/weights", kernel.reshape(shape)
        yield f"{_SCOPE}/{name}/biases", bias
    yield f"{_SCOPE}/mean_rgb", weights.tensors["mean"]
    yield "global_step", np.array(0, np.int64)


def _save(prefix: Path, part: Path, variables: dict[str, NDArray[Any]]) -> None:
    """The arrays are fed to a graph: TensorFlow takes what is fed as it lies in memory."""
    tf = tensorflow()
    with tf.Graph().as_default(), tf.device("/cpu:0"):
        placeholders = [
            tf.compat.v1.placeholder(array.dtype, array.shape) for array in variables.values()
        ]
        saved = tf.raw_ops.SaveV2(
            prefix=os.fspath(part),
            tensor_names=list(variables),
            shape_and_slices=[""] * len(variables),
            tensors=placeholders,
        )
        names = [placeholder.name for placeholder in placeholders]
        config = tf.compat.v1.ConfigProto(device_count={"GPU": 0})
        with quietly(), tf.compat.v1.Session(config=config) as session:
            try:
                session.run(saved, dict(zip(names, variables.values(), strict=True)))
            except tf.errors.OpError as error:
                raise VggfeatError(f"{prefix}: cannot be written: {_reason(error)}") from error


def _reason(error: Any) -> str:
    """The system's words, which stand behind the file's name in TensorFlow's."""
    found = re.search(r"; ([^;\n]+)$", error.message, re.MULTILINE)
    return found[1] if found else type(error).__name__
