"""ONNX models made node by node, with VGG16 in them or nearly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.networks import Layers
from vggfeat import vgg16

onnx = pytest.importorskip("onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

LAST = {list(block)[-1] for block in vgg16.BLOCKS}


class Model:
    """Nodes that are added one behind the other; `last` is the newest tensor."""

    def __init__(self, shape: tuple[Any, ...] = ("n", 3, 224, 224), dtype: str = "float32") -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.input = helper.make_tensor_value_info("data", _type(dtype), shape)
        self.last = "data"
        self.outputs: list[str] = []

    def add(self, op: str, *more: Any, source: str = "", name: str = "", **attributes: Any) -> str:
        """A node on `source`, else on the newest tensor; arrays among `more` become constants."""
        given = [source or self.last]
        for value in more:
            given.append(value if isinstance(value, str) else self.constant(value))
        output = name or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, given, [output], **attributes))
        self.last = output
        return output

    def constant(self, value: NDArray[Any], name: str = "") -> str:
        name = name or f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def graph(self) -> Any:
        outputs = [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            for name in self.outputs or [self.last]
        ]
        return helper.make_graph(self.nodes, "g", [self.input], outputs, self.constants)

    def proto(self, opset: int = 13) -> Any:
        made = helper.make_model(self.graph(), opset_imports=[helper.make_opsetid("", opset)])
        made.ir_version = 8
        return made

    def write(self, path: Path, opset: int = 13) -> Path:
        path.write_bytes(self.proto(opset).SerializeToString())
        return path


def _type(dtype: str) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def oihw(kernel: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))


def dense_chw(name: str, kernel: NDArray[Any]) -> NDArray[Any]:
    """`[in,out]` with the rows of fc6 in C,H,W order."""
    if name != "fc6":
        return kernel
    return kernel.reshape(49, -1, kernel.shape[1]).transpose(1, 0, 2).reshape(kernel.shape)


def convolutions(
    model: Model, layers: Layers, step: Callable[[Model, str], None] | None = None, prefix: str = ""
) -> None:
    """The thirteen with ReLUs and pools. `step` adds what follows each, if not the usual."""
    for name in vgg16.CONVOLUTIONS:
        kernel, bias = layers[name]
        named = [model.constant(oihw(kernel), prefix and f"{prefix}{name}_k"), bias]
        model.add("Conv", *named, pads=[1, 1, 1, 1], kernel_shape=[3, 3])
        (step or usual)(model, name)


def usual(model: Model, name: str) -> None:
    model.add("Relu")
    if name in LAST:
        pool(model)


def pool(model: Model, side: int = 2) -> None:
    model.add("MaxPool", kernel_shape=[side, side], strides=[2, 2])


def connected(model: Model, layers: Layers) -> None:
    """fc6 to fc8 as Gluon writes them; the output of fc7 is called `fc7`."""
    model.add("Flatten")
    for name in vgg16.FULLY_CONNECTED:
        kernel, bias = layers[name]
        model.add("Gemm", np.ascontiguousarray(dense_chw(name, kernel).T), bias, transB=1)
        if name != "fc8":
            model.add("Relu", name=name)
            model.add("Dropout")


def vgg(layers: Layers, **options: Any) -> Model:
    model = Model(**options)
    convolutions(model, layers)
    connected(model, layers)
    return model


def run(path: Path, output: str, given: Any) -> NDArray[Any]:
    """What ONNX Runtime gives."""
    runtime = pytest.importorskip("onnxruntime")
    model = onnx.load(path)
    if output not in [port.name for port in model.graph.output]:
        model.graph.output.append(helper.make_tensor_value_info(output, 1, None))
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found: NDArray[Any] = session.run([output], {session.get_inputs()[0].name: given})[0]
    return found
