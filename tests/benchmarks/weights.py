"""One full-size random network in the forms that the ways load: the same numbers in each.

Run as a program, because the process that measures has to stay small.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggfeat import vgg16
from vggfeat.errors import VggfeatError
from vggfeat.weights import Weights
from vggfeat.weights.formats import canonical
from vggfeat.weights.random import random_weights

CANONICAL = "vgg16.safetensors"
KERAS = "vgg16.weights.h5"
FROZEN = "vgg16.pb"
ONNX = "vgg16.onnx"
TORCH = "vgg16.pt"


def main(folder: str, *names: str) -> None:
    """Write the forms of these names that are not there yet, but for those that lack a library."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    lacking = {name: WRITERS[name] for name in names if not (target / name).exists()}
    if not lacking:
        return
    made = target / CANONICAL
    weights = canonical.read(made) if made.exists() else random_weights()
    for name, write in lacking.items():
        part = target / f"part-{name}"  # the suffix stays: Keras looks at it
        try:
            write(weights, part)
        except (ImportError, VggfeatError) as error:
            print(f"{name} is left out: {error}")
        else:
            os.replace(part, target / name)


def _keras(weights: Weights, path: Path) -> None:
    import keras

    model = keras.applications.VGG16(weights=None)
    arrays = []
    for layer in vgg16.LAYERS:
        kernel, bias = _pair(weights, layer)
        arrays += [kernel[:, :, ::-1] if layer == "conv1_1" else kernel, bias]  # it takes BGR
    model.set_weights(arrays)
    model.save_weights(path)


def _frozen(weights: Weights, path: Path) -> None:
    from vggfeat.freeze import freeze

    freeze(weights, path)


def _onnx(weights: Weights, path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    size = vgg16.SIZE
    nodes, tensors = [], []
    x = "images"

    def add(kind: str, name: str, inputs: list[str], **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def parameters(layer: str) -> list[str]:
        names = [f"{layer}.weight", f"{layer}.bias"]
        for name, array in zip(names, _channels_first(weights, layer), strict=True):
            tensors.append(numpy_helper.from_array(array, name))
        return names

    for number, block in enumerate(vgg16.BLOCKS, start=1):
        for layer in block:
            inputs = [x, *parameters(layer)]
            x = add("Conv", f"{layer}.conv", inputs, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
            x = add("Relu", layer, [x])
        x = add("MaxPool", f"pool{number}", [x], kernel_shape=[2, 2], strides=[2, 2])
    x = add("Flatten", "flat", [x])
    for layer in ("fc6", "fc7"):
        x = add("Gemm", f"{layer}.product", [x, *parameters(layer)], transB=1)
        x = add("Relu", layer, [x])
    graph = helper.make_graph(
        nodes,
        "vgg16",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, size, size])],
        [helper.make_tensor_value_info("fc7", TensorProto.FLOAT, ["n", 4096])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _torch(weights: Weights, path: Path) -> None:
    import torch

    state = {}
    for layer in vgg16.OUTPUTS["fc7"]:
        kernel, bias = _channels_first(weights, layer)
        state[f"{layer}.weight"] = torch.from_numpy(kernel)
        state[f"{layer}.bias"] = torch.from_numpy(bias)
    torch.save(state, path)


def _pair(weights: Weights, layer: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return weights.tensors[f"{layer}/kernel"], weights.tensors[f"{layer}/bias"]


def _channels_first(
    weights: Weights, layer: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """OIHW kernels, and `[out,in]` with fc6's columns in C,H,W order."""
    kernel, bias = _pair(weights, layer)
    if layer in vgg16.CONVOLUTIONS:
        kernel = kernel.transpose(3, 2, 0, 1)
    elif layer == "fc6":
        side = vgg16.POOLED_SIZE
        as_map = kernel.reshape(side, side, -1, kernel.shape[1])
        kernel = as_map.transpose(3, 2, 0, 1).reshape(kernel.shape[1], -1)
    else:
        kernel = kernel.T
    return np.ascontiguousarray(kernel), bias


WRITERS: dict[str, Callable[[Weights, Path], None]] = {
    CANONICAL: canonical.write,
    KERAS: _keras,
    FROZEN: _frozen,
    ONNX: _onnx,
    TORCH: _torch,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
