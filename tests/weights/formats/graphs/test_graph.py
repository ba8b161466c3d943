"""Any names in any order, and graphs that are made to do harm."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.weights.formats import onnx_models as models
from tests.weights.formats.given import LAYERS, SAME, caffe
from vggfeat import WeightsError
from vggfeat.weights import formats
from vggfeat.weights.formats.graphs.graph import MOST_NODES


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 1 << 32), words=st.lists(st.text(max_size=12), max_size=20))
def test_any_names_in_any_order_give_identical_bytes(
    seed: int, words: list[str], tmp_path: Path
) -> None:
    """Nodes too may be in any order, though ONNX asks for that of the computation."""
    draw = random.Random(seed)
    model = models.vgg(LAYERS)
    old = [tensor.name for tensor in model.constants] + [n.output[0] for n in model.nodes]
    names = list(dict.fromkeys([*words, *(f"{draw.random()}" for _ in old)]))
    names = [name for name in names if name][: len(old)]
    draw.shuffle(names)
    new = dict(zip(old, names, strict=True))
    for tensor in model.constants:
        tensor.name = new[tensor.name]
    for node in model.nodes:
        node.name = draw.choice([*words, ""])
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new[name] for name in node.output]
    draw.shuffle(model.constants)
    draw.shuffle(model.nodes)
    assert caffe(model.write(tmp_path / "a.onnx")).fingerprint == SAME


@pytest.mark.parametrize("op", ["Relu", "Add", "Reshape", "Transpose", "Identity", "Split"])
def test_a_graph_that_goes_in_circles_ends(op: str, tmp_path: Path) -> None:
    model = models.vgg(LAYERS)
    for node in model.nodes[:3]:
        node.op_type = op if node.op_type == "Relu" else node.op_type
    model.nodes[0].input[0] = "round"
    model.nodes.append(models.helper.make_node(op, ["t5", "round"], ["round"]))
    begin = time.monotonic()
    with pytest.raises(WeightsError):
        formats.read(model.write(tmp_path / "a.onnx"))
    assert time.monotonic() - begin < 5


LONG = 10_000
CHAINS: dict[str, Callable[[str, str], list[Any]]] = {
    "identities": lambda a, b: [models.helper.make_node("Identity", [a], [b])],
    "sums": lambda a, b: [models.helper.make_node("Add", [a, a], [b])],
    "sums with constants": lambda a, b: [models.helper.make_node("Add", [a, "c1"], [b])],
    "convolutions": lambda a, b: [models.helper.make_node("Conv", [a, "c0"], [b])],
    "concats": lambda a, b: [models.helper.make_node("Concat", [a, a, a], [b], axis=1)],
    "splits": lambda a, b: [models.helper.make_node("Split", [a], [b, f"{b}x"], axis=1)],
}


@pytest.mark.parametrize("behind_constant", [False, True])
@pytest.mark.parametrize("kind", CHAINS)
def test_a_chain_of_many_thousand_nodes_ends(
    kind: str, behind_constant: bool, tmp_path: Path
) -> None:
    """No recursion without bound, no doubling at each node."""
    model = models.vgg(LAYERS)
    link = CHAINS[kind]
    chain = [link(f"l{n}", f"l{n + 1}") for n in range(LONG)]
    made = [node for nodes in chain for node in nodes]
    made[0].input[0] = "c1" if behind_constant else "data"
    model.nodes[0].input[0] = f"l{LONG}"
    model.nodes = made + model.nodes
    path = model.write(tmp_path / "a.onnx")
    begin = time.process_time()
    with pytest.raises(WeightsError):
        formats.read(path)
    assert time.process_time() - begin < 3


def test_more_nodes_than_any_network_has_are_refused(tmp_path: Path) -> None:
    model = models.vgg(LAYERS)
    model.nodes += [
        models.helper.make_node("Relu", [f"l{n}"], [f"l{n + 1}"]) for n in range(MOST_NODES)
    ]
    with pytest.raises(WeightsError, match="a graph of too many operations"):
        formats.read(model.write(tmp_path / "long.onnx"))
    head = b"\x08\x08\x3a"
    graph = b"\x0a\x00" * 200_000
    length = len(graph)
    size = bytes((length & 0x7F | 0x80, length >> 7 & 0x7F | 0x80, length >> 14))
    (tmp_path / "a.onnx").write_bytes(head + size + graph)
    with pytest.raises(WeightsError, match="a graph of too many operations"):
        formats.read(tmp_path / "a.onnx")
