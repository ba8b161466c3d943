"""One network written in every form, by the library whose form it is where there is one.

Each writer takes kernels HWIO (dense ones `[in,out]`, fc6 in H,W,C order) for RGB, and keeps them
as its form does: BGR, channels first, other orders of fc6. The numbers are not scaled.
"""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from tests.networks import Layers
from tests.weights.formats.protobuf import field, varint
from vggfeat import vgg16

Array = NDArray[np.float32]
Writer = Callable[[Layers, Path], Path]
Parts = tuple[bytes | memoryview, ...]

KERAS_NAMES = {
    **{name: f"block{name[4]}_conv{name[6]}" for name in vgg16.CONVOLUTIONS},
    "fc6": "fc1", "fc7": "fc2", "fc8": "predictions",
}  # fmt: skip
TORCHVISION_NAMES = dict(
    zip(
        vgg16.LAYERS,
        [f"features.{n}" for n in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)]
        + [f"classifier.{n}" for n in (0, 3, 6)],
        strict=True,
    )
)
TIMM_NAMES = TORCHVISION_NAMES | {
    "fc6": "pre_logits.fc1", "fc7": "pre_logits.fc2", "fc8": "head.fc"
}  # fmt: skip


def bgr(layers: Layers) -> Layers:
    """The first kernel turned for blue, green, red."""
    kernel, bias = layers["conv1_1"]
    return layers | {"conv1_1": (np.ascontiguousarray(kernel[:, :, ::-1]), bias)}


def channels_first(name: str, kernel: Array) -> Array:
    """OIHW, or `[out,in]` with the columns of fc6 in C,H,W order."""
    if kernel.ndim == 4:
        return np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    if name == "fc6":
        kernel = kernel.reshape(49, -1, kernel.shape[1]).swapaxes(0, 1).reshape(kernel.shape)
    return np.ascontiguousarray(kernel.T)


def as_convolution(name: str, kernel: Array) -> Array:
    """TF-Slim's `[7,7,512,4096]` and `[1,1,4096,4096]`."""
    if kernel.ndim == 4:
        return kernel
    side = 7 if name == "fc6" else 1
    return kernel.reshape(side, side, -1, kernel.shape[1])


def state_dict(layers: Layers, names: dict[str, str] = TORCHVISION_NAMES) -> dict[str, Array]:
    kept = {}
    for name, (kernel, bias) in layers.items():
        kept[f"{names[name]}.weight"] = channels_first(name, kernel)
        kept[f"{names[name]}.bias"] = bias
    return kept


def keras_h5(layers: Layers, path: Path) -> Path:
    """The layout of the published file."""
    path = path.with_suffix(".h5")
    with h5py.File(path, "w") as root:
        root.attrs["layer_names"] = [KERAS_NAMES[name].encode() for name in layers]
        for name, pair in bgr(layers).items():
            layer = KERAS_NAMES[name]
            names = [f"{layer}_W_1:0", f"{layer}_b_1:0"]
            group = root.create_group(layer)
            group.attrs["weight_names"] = np.array(names, "S")
            for key, value in zip(names, pair, strict=True):
                group[key] = value
    return path


def keras_3(layers: Layers, path: Path) -> Path:
    """A `.keras` archive, with the HDF5 layout that Keras 3 writes into it."""
    inner = path.with_suffix(".weights.h5")
    with h5py.File(inner, "w") as root:
        for number, (name, pair) in enumerate(bgr(layers).items()):
            nth = number % len(vgg16.CONVOLUTIONS)
            kind = "conv2d" if name in vgg16.CONVOLUTIONS else "dense"
            group = root.create_group(f"layers/{kind}{f'_{nth}' if nth else ''}/vars")
            group.attrs["name"] = KERAS_NAMES[name]
            for key, value in zip("01", pair, strict=True):
                group[key] = value
    path = path.with_suffix(".keras")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.write(inner, "model.weights.h5")
    inner.unlink()
    return path


def _variables(layers: Layers) -> dict[str, Array]:
    found = {}
    for name, (kernel, bias) in layers.items():
        scope = f"vgg_16/{name[:5]}/{name}" if name in vgg16.CONVOLUTIONS else f"vgg_16/{name}"
        found[f"{scope}/weights"] = as_convolution(name, kernel)
        found[f"{scope}/biases"] = bias
    return found


def slim(layers: Layers, path: Path) -> Path:
    """A V2 checkpoint, by its prefix."""
    import tensorflow as tf

    variables = _variables(layers)
    tf.raw_ops.SaveV2(
        prefix=str(path), tensor_names=list(variables), shape_and_slices=[""] * len(variables),
        tensors=list(variables.values()),
    )  # fmt: skip
    return path


def slim_v1(layers: Layers, path: Path) -> Path:
    import tensorflow as tf

    variables = _variables(layers)
    tf.raw_ops.Save(filename=str(path), tensor_names=list(variables), data=list(variables.values()))
    return path


def slim_tarball(layers: Layers, path: Path) -> Path:
    """As TF-Slim publishes it."""
    checkpoint = slim_v1(layers, path.with_suffix(".ckpt"))
    path = path.with_suffix(".tar.gz")
    with tarfile.open(path, "w:gz", compresslevel=0) as archive:
        archive.add(checkpoint, "vgg_16.ckpt")
    checkpoint.unlink()
    return path


def saved_model(layers: Layers, path: Path) -> Path:
    import tensorflow as tf

    module = tf.Module()
    for name, (kernel, bias) in bgr(layers).items():
        layer = tf.Module()
        layer.kernel = tf.Variable(kernel, name=f"{KERAS_NAMES[name]}/kernel")
        layer.bias = tf.Variable(bias, name=f"{KERAS_NAMES[name]}/bias")
        setattr(module, KERAS_NAMES[name], layer)
    tf.saved_model.save(module, str(path))
    return path


def torch_zip(layers: Layers, path: Path, **options: Any) -> Path:
    torch = pytest.importorskip("torch")
    kept = {key: torch.from_numpy(value.copy()) for key, value in state_dict(layers).items()}
    path = path.with_suffix(".pth")
    torch.save(kept, path, **options)
    return path


def torch_legacy(layers: Layers, path: Path) -> Path:
    return torch_zip(layers, path, _use_new_zipfile_serialization=False)


def torchvision_safetensors(layers: Layers, path: Path) -> Path:
    path = path.with_suffix(".safetensors")
    save_file(state_dict(layers), path, {"format": "pt"})
    return path


def timm_safetensors(layers: Layers, path: Path) -> Path:
    path = path.with_suffix(".safetensors")
    kept = state_dict(layers, TIMM_NAMES)
    for name, side in (("fc6", 7), ("fc7", 1)):
        key = f"{TIMM_NAMES[name]}.weight"
        if key in kept:
            kept[key] = kept[key].reshape(len(kept[key]), -1, side, side)
    save_file(kept, path)
    return path


def npz(layers: Layers, path: Path) -> Path:
    """Frossard's."""
    path = path.with_suffix(".npz")
    pairs = layers.items()
    np.savez(path, **{f"{n}_{k}": v for n, pair in pairs for k, v in zip("Wb", pair, strict=True)})
    return path


def npy(layers: Layers, path: Path) -> Path:
    """machrisaa's."""
    path = path.with_suffix(".npy")
    kept = {name: list(pair) for name, pair in bgr(layers).items()}
    np.save(path, np.array(kept, dtype=object), allow_pickle=True)
    return path


def caffe(layers: Layers, path: Path) -> Path:
    path = path.with_suffix(".caffemodel")
    with open(path, "wb") as file:
        for name, pair in bgr(layers).items():
            kernel, bias = channels_first(name, pair[0]), pair[1]
            kind = b"Convolution" if name in vgg16.CONVOLUTIONS else b"InnerProduct"
            about = (field(1, name.encode()), field(2, kind))
            file.writelines(_nested(100, (*about, *_blob(kernel), *_blob(bias))))
    return path


def _blob(array: Array) -> Parts:
    shape = field(1, b"".join(varint(side) for side in array.shape))
    numbers = memoryview(array).cast("B")
    return _nested(7, (field(7, shape), *_nested(5, (numbers,))))


def _nested(number: int, parts: Parts) -> Parts:
    """A field of parts that are not copied into one: they are large."""
    return (varint(number << 3 | 2) + varint(sum(map(len, parts))), *parts)


def onnx(layers: Layers, path: Path) -> Path:
    """As the Model zoo's, which came from MXNet Gluon."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    nodes: list[Any] = []
    constants: dict[str, Array] = {}
    last = "data"

    def add(op: str, name: str, inputs: list[str], **attributes: Any) -> str:
        nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    for number, (name, (kernel, bias)) in enumerate(layers.items()):
        convolution = name in vgg16.CONVOLUTIONS
        kind = f"conv{number}" if convolution else f"dense{number - 13}"
        names = [f"vgg0_{kind}_{part}" for part in ("weight", "bias")]
        constants |= zip(names, (channels_first(name, kernel), bias), strict=True)
        if name == "fc6":
            last = add("Flatten", "flatten0", [last])
        if convolution:
            last = add("Conv", f"vgg0_{kind}_fwd", [last, *names], kernel_shape=[3, 3],
                       pads=[1, 1, 1, 1])  # fmt: skip
        else:
            last = add("Gemm", f"vgg0_{kind}_fwd", [last, *names], transB=1)
        if name != "fc8":
            last = add("Relu", f"vgg0_{kind}_relu", [last])
        if any(name == list(block)[-1] for block in vgg16.BLOCKS):
            last = add("MaxPool", f"vgg0_{kind}_pool", [last], kernel_shape=[2, 2], strides=[2, 2])
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "mxnet_converted_model",
        [value("data", 1, ["N", 3, 224, 224])], [value(last, 1, None)],
    )  # fmt: skip
    path = path.with_suffix(".onnx")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    for key, array in constants.items():  # set here, as the makers above would copy them
        model.graph.initializer.add(
            name=key, dims=array.shape, data_type=onnx.TensorProto.FLOAT, raw_data=array.tobytes()
        )
    path.write_bytes(model.SerializeToString())
    return path


def frozen(layers: Layers, path: Path) -> Path:
    """A graph of TF-Slim's shape, its fully connected layers as convolutions."""
    import tensorflow as tf

    constants: dict[str, Array] = {}

    def constant(value: Array, name: str) -> Any:
        constants[name] = value
        return tf.constant(0.0, shape=value.shape, name=name)

    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 224, 224, 3], name="input")
        for name, (kernel, bias) in layers.items():
            scope = f"vgg_16/{name[:5]}/{name}" if name in vgg16.CONVOLUTIONS else f"vgg_16/{name}"
            same = "SAME" if name in vgg16.CONVOLUTIONS else "VALID"
            weights = constant(as_convolution(name, kernel), f"{scope}/weights")
            x = tf.nn.conv2d(x, weights, 1, same, name=f"{scope}/Conv2D")
            x = tf.nn.bias_add(x, constant(bias, f"{scope}/biases"))
            x = x if name == "fc8" else tf.nn.relu(x)
            if any(name == list(block)[-1] for block in vgg16.BLOCKS):
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
    graph_def = graph.as_graph_def()
    for node in graph_def.node:
        if node.name in constants:
            # Filled in here, as TensorFlow copies each of its constants several times.
            node.attr["value"].tensor.ClearField("float_val")
            node.attr["value"].tensor.tensor_content = constants[node.name].tobytes()
    path = path.with_suffix(".pb")
    path.write_bytes(graph_def.SerializeToString())
    return path


WRITERS: dict[str, Writer] = {
    writer.__name__: writer
    for writer in (
        keras_h5, keras_3, slim, slim_v1, slim_tarball, saved_model, torch_zip, torch_legacy,
        torchvision_safetensors, timm_safetensors, npz, npy, caffe, onnx, frozen,
    )
}  # fmt: skip
