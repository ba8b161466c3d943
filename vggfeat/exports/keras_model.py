"""A whole Keras model, written by Keras: `keras.models.load_model(FILE)` needs nothing else.

RGB pixels 0..255 `[n,224,224,3]` go in; a `Rescaling` layer subtracts the mean. Layers are named
as those of keras.applications.VGG16. Without a head it ends in `predictions`, a softmax, or in
the last layer that the weights hold. With a head it goes as far as the head's layer, and ends in
the head as `predictions`.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from vggfeat import vgg16
from vggfeat.activations import FLAT, Activation, parse
from vggfeat.errors import UsageError
from vggfeat.keras_layers import PREDICTIONS, Layers, keras
from vggfeat.quiet_tensorflow import quietly
from vggfeat.weights.canonical import Weights
from vggfeat.whole import put

if TYPE_CHECKING:
    from vggfeat.head.file import Head

_SUFFIX = ".keras"


def check_name(path: Path) -> None:
    """Raises UsageError: a name by which Keras would not know a model."""
    if path.suffix != _SUFFIX:
        raise UsageError(f"{path}: Keras reads a model from a file whose name ends in {_SUFFIX}")


def write(weights: Weights, path: Path, head: Head | None = None) -> str:
    """Write the file. Raises OSError, VggfeatError."""
    framework = keras()
    size = head.recipe.preprocessing.size if head else vgg16.SIZE
    with framework.device("cpu"), quietly():
        layers = Layers(weights, size=size, fc8="fc8" if head else PREDICTIONS)
        last = Activation(vgg16.last_output(weights.layers))
        x = _headed(layers, head) if head else layers.up_to(last)
        save(framework.Model(layers.images, x, name="vgg16"), path)
    return f"takes RGB pixels 0..255 [n,{size},{size},3], and subtracts the mean itself"


def save(model: Any, path: Path) -> None:
    """Write a model of Keras, whole or not at all. Raises OSError.

    In a folder of our own first, since Keras puts large weights beside its file for a while.
    """
    with TemporaryDirectory(".part", f".{path.name}.", path.parent) as folder:
        written = Path(folder) / path.name
        failed = None
        try:
            model.save(written)
        except (OSError, RuntimeError) as error:
            failed = _of_system(error)
            if failed is None:
                raise
        if failed:  # raised here, where the other one has let go of that file
            raise failed
        put(written, path)


def _of_system(error: Exception) -> OSError | None:
    """What the system said: HDF5 puts it into a paragraph of its own, and not always an OSError."""
    found = re.search(r"errno = (\d+)", str(error))
    number = int(found[1]) if found else getattr(error, "errno", None)
    return None if number is None else OSError(number, os.strerror(number))


def _headed(layers: Layers, head: Head) -> Any:
    wanted = parse(head.recipe.layer)
    x = layers.up_to(replace(wanted, pooling=wanted.pooling or FLAT))
    if head.recipe.normalize:
        x = layers.normalized(x)
    return layers.head(x, head.kernel, head.bias)
