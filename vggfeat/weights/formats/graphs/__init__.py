"""Networks that are kept as graphs, ONNX's and TensorFlow's: found by walking the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.weights import structure
from vggfeat.weights.formats.graphs import chain, head, last_pool, links
from vggfeat.weights.formats.graphs.declared import declared
from vggfeat.weights.formats.graphs.graph import Graph
from vggfeat.weights.layers import Network


def network(graph: Graph, form: str, hints: Mapping[str, str]) -> Network:
    """The VGG16 in a graph, whatever its nodes and tensors are called.

    Args:
        form: what the file is, in words.
        hints: by operation, what its presence says where no VGG16 is found.

    Raises:
        WeightsError: no VGG16, or several.
    """
    layers = chain.layers_of(graph)
    try:
        row = chain.convolutions(graph, layers)
    except WeightsError as error:
        ops = {node.op for node in graph.nodes}
        said = next((hint for op, hint in hints.items() if op in ops), "")
        raise WeightsError(f"{error}; {said}" if said else str(error)) from None
    ends = [*layers.links(row), links.behind(graph, row[-1])]
    chosen = {
        name: replace(chain.complete(element.layer, link), path=(name,))
        for name, element, link in zip(vgg16.CONVOLUTIONS, row, ends, strict=True)
    }
    chosen |= head.connected(graph, layers, row, chosen)
    structure.check(chosen)
    behind = [e for e in layers.elements.values() if layers.row(e, row[-1])[0] is row[-1]]
    said_by = declared(graph, row, behind)
    notes = (*said_by.notes, *last_pool.noted(graph, row[-1]))
    return Network(form, chosen, said_by.taken, said_by.by, notes)
