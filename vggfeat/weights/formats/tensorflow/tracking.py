"""What the program that wrote an object-based checkpoint calls its variables.

TensorFlow 2 and Keras name the entries of a checkpoint by the way through objects to a variable:
`_operations/1/_kernel/.ATTRIBUTES/VARIABLE_VALUE`. One more entry holds the graph of these objects
(tensorflow/core/protobuf/trackable_object_graph.proto), which has the variable's own name for each
key: `block1_conv1/kernel`.
"""

from __future__ import annotations

from vggfeat.weights.formats.containers import varint
from vggfeat.weights.formats.containers.table import Bytes
from vggfeat.weights.formats.containers.wire import Message
from vggfeat.weights.formats.tensorflow import slices

KEY = b"_CHECKPOINTABLE_OBJECT_GRAPH"
MOST_BYTES = 1 << 20  # a larger graph is not read: Keras' VGG16 with its optimizer has 20 thousand

_CHECKSUM = 4  # bytes


def names(stored: Bytes) -> dict[str, str]:
    """The name of the variable that each key stands for.

    Args:
        stored: the entry's bytes: one string, which is its length as a varint, the checksum of
            that, and the message.

    Raises:
        WeightsError: the bytes are no such string.
    """
    _, at = varint.read(stored.data, 0)
    graph = Message(stored[at + _CHECKSUM :])
    return {
        attribute.text(3): attribute.text(2)
        for node in slices.each(graph, 1)
        for attribute in slices.each(node, 2)
    }
