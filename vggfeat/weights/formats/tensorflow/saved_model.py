"""TensorFlow SavedModels: a folder with `saved_model.pb`, and a checkpoint in `variables/`.

Only the checkpoint is read: the functions of the graph are never run or looked at. Keras 3 writes
such folders with `model.export`, TensorFlow with `tf.saved_model.save`, TensorFlow 1 with
`SavedModelBuilder`; they differ in how variables are named.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from vggfeat.errors import WeightsError
from vggfeat.weights.formats.containers.sniff import Outer, outer_fields
from vggfeat.weights.formats.containers.table import is_table
from vggfeat.weights.formats.containers.wire import LENGTH, VARINT
from vggfeat.weights.formats.tensorflow import checkpoint, variables
from vggfeat.weights.layers import Network

NAME = "TensorFlow SavedModel"
FILES = "a folder with `saved_model.pb` and `variables`"
ABOUT = "of Keras, TF-Slim and other programs; the graph in it is not run"

_FILE = "saved_model.pb"
# The start of a SavedModel (tensorflow/core/protobuf/saved_model.proto): schema version 1, then
# the first MetaGraphDef, and in that its MetaInfoDef.
_START = (Outer(1, VARINT, b"\x01"), Outer(2, LENGTH, b"\x0a"))


def recognise(path: Path) -> bool:
    file = path / _FILE if path.is_dir() else path
    return tuple(itertools.islice(outer_fields(file, 1), len(_START))) == _START


def find(path: Path) -> Network:
    """The network whose variables a SavedModel holds, given by its folder or `saved_model.pb`.

    Raises:
        WeightsError: it has no variables, no VGG16 is among them, or they are damaged.
    """
    folder = path if path.is_dir() else path.parent
    prefix = folder / "variables" / "variables"
    if not is_table(Path(f"{prefix}.index")):
        raise WeightsError(
            "a SavedModel without variables beside it: its numbers are lost, or constants inside "
            "its graph, where vggfeat does not look for them"
        )
    return variables.network(NAME, checkpoint.read(prefix))
