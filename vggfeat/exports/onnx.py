"""An ONNX model: `images` uint8 `[n,224,224,3]` RGB in, `fc6`, `fc7` and `logits` out.

The mean is subtracted inside. `fc6` and `fc7` are float32 `[n,4096]` after their ReLU, `logits`
`[n,classes]` before the softmax; a network without fully connected layers gives `pool5`
`[n,7,7,512]`. With a head the network ends in it, over whichever layer it is: `logits` and
`probabilities`, and the names of the classes as a JSON list in the metadata `classes`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from vggfeat import vgg16
from vggfeat.activations import Activation, parse
from vggfeat.errors import WeightsError
from vggfeat.exports import onnx_fields as fields
from vggfeat.exports.channels_first import in_memory
from vggfeat.exports.onnx_graph import INPUT, Graph
from vggfeat.weights.canonical import Weights
from vggfeat.whole import whole

if TYPE_CHECKING:
    from vggfeat.head.file import Head

_LOGITS = "logits"
_MOST_BYTES = (1 << 31) - 1  # that protobuf takes for one message


def write(weights: Weights, path: Path, head: Head | None = None) -> str:
    """Write the file.

    Raises:
        WeightsError: more numbers than such a file can hold.
        OSError: it cannot be written.
    """
    graph = _layers(weights) if head is None else _headed(weights, head)
    heads = [fields.initializer_head(tensor) for tensor in graph.tensors]
    nodes = b"".join(graph.nodes) + fields.graph_name("vgg16")
    ports = fields.given(INPUT, (graph.size, graph.size, 3)) + b"".join(
        fields.output(name, shape) for name, shape in graph.outputs.items()
    )
    length = len(nodes) + len(ports) + sum(map(len, heads)) + sum(t.nbytes for t in graph.tensors)
    model = fields.model({} if head is None else {"classes": json.dumps(head.classes)})
    start = model + fields.graph_head(length) + nodes + ports
    if len(start) + length > _MOST_BYTES:
        raise WeightsError("an ONNX file holds 2 GB at the most, and these weights are larger")
    with whole(path) as file:
        file.write(start)
        for begin, tensor in zip(heads, graph.tensors, strict=True):
            file.write(begin)
            for block in tensor.blocks():
                file.write(block)
    given = f"[n,{graph.size},{graph.size},3]"
    return f"input {INPUT} uint8 {given} RGB, outputs {', '.join(graph.outputs)}"


def _layers(weights: Weights) -> Graph:
    """All that the weights hold."""
    graph = Graph(weights, fc8=_LOGITS)
    connected = [layer for layer in vgg16.FULLY_CONNECTED if layer in weights.layers]
    last = Activation(connected[-1] if connected else "pool5")
    x = graph.map_of(last)
    widths = weights.width_of
    if not connected:
        graph.channels_last(x, "pool5")
        graph.outputs["pool5"] = last.shape(widths)
        return graph
    graph.vector_of(x, last)
    for layer in connected:
        graph.outputs[_LOGITS if layer == "fc8" else layer] = (widths[layer],)
    return graph


def _headed(weights: Weights, head: Head) -> Graph:
    """As far as the head's layer, and the head."""
    wanted = parse(head.recipe.layer)
    graph = Graph(weights, head.recipe.preprocessing.size)
    x = graph.vector_of(graph.map_of(wanted), wanted)
    if head.recipe.normalize:
        x = graph.add("LpNormalization", [x], "normalized", axis=1, p=2)
    named = (in_memory("head.weight", head.kernel), in_memory("head.bias", head.bias))
    x = graph.add("Gemm", [x, *map(graph.add_tensor, named)], _LOGITS)
    graph.add("Softmax", [x], "probabilities")
    shape = (len(head.classes),)
    graph.outputs = {_LOGITS: shape, "probabilities": shape}
    return graph
