"""What a graph has in the place of pool5, behind conv5_3: to be noted where it is another pool."""

from __future__ import annotations

from collections import deque

from vggfeat.weights.formats.graphs.channels import BY_CHANNEL
from vggfeat.weights.formats.graphs.graph import Graph, Node
from vggfeat.weights.formats.graphs.links import Element, is_pool

_MOST_AHEAD = 256  # nodes looked at behind conv5_3
_PASSED = BY_CHANNEL | {"Cast", "Identity", "Pad", "Relu", "Transpose"}


def noted(graph: Graph, last: Element) -> tuple[str, ...]:
    """A sentence if pools follow conv5_3, but none that is VGG16's; nothing if none follows."""
    queue, others = deque([last.node]), list[Node]()
    seen = {last.node}
    while queue and len(seen) < _MOST_AHEAD:
        for step in graph.consumers(queue.popleft()):
            if step in seen:
                continue
            seen.add(step)
            if is_pool(step, "MaxPool", (2, 2)):
                return ()
            if _is_another(step):
                others.append(step)
            elif step.op in _PASSED or is_pool(step, "AveragePool", (1, 1)):
                queue.append(step)
    if not others:
        return ()
    return (f"pool5 is VGG16's 2x2 max pooling here, where the graph has {_named(others[0])}",)


def _is_another(step: Node) -> bool:
    pools = "Pool" in step.op or step.op == "GlobalAverage"
    return pools and not is_pool(step, "AveragePool", (1, 1))


def _named(step: Node) -> str:
    if step.op == "GlobalAverage":
        return "an average over all positions"
    window = step.attributes.get("window")
    return (
        f"{step.op} over {window} with strides {step.attributes['strides']}" if window else step.op
    )
