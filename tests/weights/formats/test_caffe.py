"""Caffe models, written byte by byte and by Google's protobuf, against the same network in Keras.

The messages are those of src/caffe/proto/caffe.proto, described here a second time.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import networks
from tests.networks import Layers, relative_error
from tests.weights import written
from vggfeat import Extractor, WeightsError, vgg16
from vggfeat.weights import formats
from vggfeat.weights.formats import caffe, frozen, onnx

LAYERS = networks.layers()
Array = NDArray[Any]


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def part(number: int, data: bytes | str) -> bytes:
    data = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(data)) + data


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def shaped(array: Array) -> bytes:
    return part(7, part(1, b"".join(map(varint, array.shape)))) + part(
        5, array.astype("<f4").tobytes()
    )


def legacy(array: Array) -> bytes:
    sides = (1,) * (4 - array.ndim) + array.shape
    head = b"".join(number(field, side) for field, side in enumerate(sides, start=1))
    return head + part(5, array.astype("<f4").tobytes())


def unpacked(array: Array) -> bytes:
    """Each number with a key of its own, as writers without `packed` do; large blobs are packed."""
    if array.size > 1 << 17:
        return shaped(array)
    shape = part(7, b"".join(number(1, side) for side in array.shape))
    key = varint(5 << 3 | 5)
    return shape + b"".join(key + struct.pack("<f", value) for value in array.reshape(-1))


def doubles(array: Array) -> bytes:
    return part(7, part(1, b"".join(map(varint, array.shape)))) + part(
        8, array.astype("<f8").tobytes()
    )


BLOBS = {"shape": shaped, "legacy": legacy, "unpacked": unpacked, "doubles": doubles}


def stored(layers: Layers = LAYERS) -> Iterator[tuple[str, bool, Array, Array]]:
    """As Caffe has them: name, whether a convolution, kernel and bias, the first for BGR."""
    for name, (kernel, bias) in written.bgr(layers).items():
        yield name, kernel.ndim == 4, written.channels_first(name, kernel), bias


def new_layer(name: str, kind: str, bottom: str, *blobs: bytes, more: bytes = b"") -> bytes:
    head = part(1, name) + part(2, kind) + part(3, bottom) + part(4, name)
    return part(100, head + b"".join(part(7, blob) for blob in blobs) + more)


def new_form(blob: Any = shaped, layers: Layers = LAYERS) -> bytes:
    net, bottom = part(1, "VGG_ILSVRC_16_layers"), "data"
    for name, convolution, kernel, bias in stored(layers):
        kind = "Convolution" if convolution else "InnerProduct"
        net += new_layer(name, kind, bottom, blob(kernel), blob(bias))
        net += part(100, part(1, f"relu_{name}") + part(2, "ReLU") + part(3, name) + part(4, name))
        bottom = name
    return net


def old_form(blob: Any = legacy, layers: Layers = LAYERS) -> bytes:
    net, bottom = part(1, "VGG_ILSVRC_16_layers"), "data"
    for name, convolution, kernel, bias in stored(layers):
        message = part(2, bottom) + part(3, name) + part(4, name)
        message += number(5, 4 if convolution else 14) + part(6, blob(kernel)) + part(6, blob(bias))
        message += varint(7 << 3 | 5) + struct.pack("<f", 1.0)  # blobs_lr
        net += part(2, message)
        net += part(2, part(2, name) + part(3, name) + part(4, f"relu_{name}") + number(5, 18))
        bottom = name
    return net


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return formats.read(written.keras_h5(LAYERS, tmp_path_factory.mktemp("keras") / "same"))


def write(path: Path, net: bytes) -> Path:
    path.write_bytes(net)
    return path


@pytest.mark.parametrize("blob", BLOBS.values(), ids=BLOBS)
@pytest.mark.parametrize("form", [old_form, new_form])
def test_every_form_gives_the_tensors_of_the_same_network_in_keras(
    expected: Any, tmp_path: Path, form: Any, blob: Any
) -> None:
    found = formats.read(write(tmp_path / "a.caffemodel", form(blob)))
    assert found.fingerprint == expected.fingerprint
    assert (found.origin.channels, found.origin.scale) == ("bgr", "caffe")


def test_the_vectors_are_those_of_the_same_network_in_keras(expected: Any, tmp_path: Path) -> None:
    crops = networks.pictures()
    path = write(tmp_path / "a.caffemodel", old_form())
    assert relative_error(Extractor(path)(crops), Extractor(expected)(crops)) == 0


def net_parameter() -> Any:
    """The class that protobuf makes of a description: an independent writer."""
    descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")
    from google.protobuf import descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    described = {
        "BlobShape": [("dim", 1, "INT64", True)],
        "BlobProto": [
            ("num", 1, "INT32", False), ("channels", 2, "INT32", False),
            ("height", 3, "INT32", False), ("width", 4, "INT32", False),
            ("data", 5, "FLOAT", True), ("diff", 6, "FLOAT", True),
            ("shape", 7, "BlobShape", False), ("double_data", 8, "DOUBLE", True),
        ],
        "V1LayerParameter": [
            ("bottom", 2, "STRING", True), ("top", 3, "STRING", True), ("name", 4, "STRING", False),
            ("type", 5, "INT32", False), ("blobs", 6, "BlobProto", True),
        ],
        "LayerParameter": [
            ("name", 1, "STRING", False), ("type", 2, "STRING", False),
            ("bottom", 3, "STRING", True), ("top", 4, "STRING", True),
            ("blobs", 7, "BlobProto", True), ("phase", 10, "INT32", False),
        ],
        "NetParameter": [
            ("name", 1, "STRING", False), ("layers", 2, "V1LayerParameter", True),
            ("input", 3, "STRING", True), ("input_dim", 4, "INT32", True),
            ("layer", 100, "LayerParameter", True),
        ],
    }  # fmt: skip
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    for message, fields in described.items():
        made = file.message_type.add(name=message)
        for name, at, kind, repeated in fields:
            label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            added = made.field.add(name=name, number=at, label=label)
            if kind in described:
                added.type, added.type_name = field.TYPE_MESSAGE, f".caffe.{kind}"
            else:
                added.type = getattr(field, f"TYPE_{kind}")
                added.options.packed = repeated and kind in ("FLOAT", "DOUBLE", "INT64")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))


@pytest.mark.parametrize("old", [True, False])
def test_what_googles_protobuf_writes_is_read(expected: Any, tmp_path: Path, old: bool) -> None:
    net = net_parameter()(name="VGG", input=["data"], input_dim=[1, 3, 224, 224])
    for name, convolution, kernel, bias in stored():
        layer = net.layers.add() if old else net.layer.add()
        layer.name, layer.top[:] = name, [name]
        if old:
            layer.type = 4 if convolution else 14
        else:
            layer.type = "Convolution" if convolution else "InnerProduct"
        for array in (kernel, bias):
            blob = layer.blobs.add(data=array.reshape(-1).tolist())
            if old:
                sides = (1,) * (4 - array.ndim) + array.shape
                blob.num, blob.channels, blob.height, blob.width = sides
                blob.diff[:] = np.zeros(array.size).tolist()
            else:
                blob.shape.dim[:] = array.shape
    path = write(tmp_path / "a.caffemodel", net.SerializeToString())
    assert formats.read(path).fingerprint == expected.fingerprint


def test_a_fine_tuned_model_with_another_head_keeps_fc7(expected: Any, tmp_path: Path) -> None:
    layers = {name: pair for name, pair in LAYERS.items() if name != "fc8"}
    head = np.ones((21, 256), np.float32)
    net = new_form(layers=layers)
    net += new_layer("fc8_voc12", "InnerProduct", "fc7", shaped(head), shaped(head[:, 0]))
    found = formats.read(write(tmp_path / "a.caffemodel", net))
    for name in ("conv1_1", "fc6", "fc7"):
        np.testing.assert_array_equal(
            found.tensors[f"{name}/kernel"], expected.tensors[f"{name}/kernel"]
        )


def test_names_do_not_matter(expected: Any, tmp_path: Path) -> None:
    net, bottom = b"", "data"
    for place, (_, convolution, kernel, bias) in enumerate(stored()):
        kind = "Convolution" if convolution else "InnerProduct"
        net += new_layer(f"layer{place}", kind, bottom, shaped(kernel), shaped(bias))
        bottom = f"layer{place}"
    found = formats.read(write(tmp_path / "a.caffemodel", net))
    assert found.fingerprint == expected.fingerprint


def test_a_transposed_inner_product_is_turned(expected: Any, tmp_path: Path) -> None:
    net = b""
    for name, convolution, kernel, bias in stored():
        kind, more = (
            ("Convolution", b"") if convolution else ("InnerProduct", part(117, number(6, 1)))
        )
        blob = kernel if convolution else np.ascontiguousarray(kernel.T)
        net += new_layer(name, kind, "x", shaped(blob), shaped(bias), more=more)
    found = formats.read(write(tmp_path / "a.caffemodel", net))
    assert found.fingerprint == expected.fingerprint


def normalised(*, behind_relu: bool = False) -> tuple[bytes, Layers]:
    """A model with BatchNorm and Scale, and the plain network that computes the same."""
    generator = np.random.default_rng(3)
    net, plain = b"", {}
    for name, (kernel, bias) in LAYERS.items():
        convolution = kernel.ndim == 4
        kept = (
            written.bgr({"conv1_1": (kernel, bias)})["conv1_1"][0] if name == "conv1_1" else kernel
        )
        blobs = shaped(written.channels_first(name, kept)), shaped(bias)
        net += new_layer(name, "Convolution" if convolution else "InnerProduct", "x", *blobs)
        plain[name] = kernel, bias
        if not convolution:
            continue
        if behind_relu:
            net += new_layer(f"{name}/relu", "ReLU", name)
        mean, variance, gamma, beta = generator.uniform(0.5, 2, (4, len(bias))).astype(np.float32)
        factor = np.float32(998.5)
        norm = [shaped(v) for v in (mean * factor, variance * factor, np.array([factor]))]
        epsilon = part(139, varint(3 << 3 | 5) + struct.pack("<f", 0.25))
        net += new_layer(f"{name}/bn", "BatchNorm", name, *norm, more=epsilon)
        net += new_layer(f"{name}/scale", "Scale", f"{name}/bn", shaped(gamma), shaped(beta))
        by = gamma / np.sqrt(variance + 0.25)
        plain[name] = (
            (kernel * by).astype(np.float32),
            ((bias - mean) * by + beta).astype(np.float32),
        )
    return net, plain


def test_batch_norm_and_scale_are_folded(tmp_path: Path) -> None:
    net, plain = normalised()
    found = formats.read(write(tmp_path / "a.caffemodel", net))
    for name, (kernel, bias) in plain.items():
        np.testing.assert_allclose(found.tensors[f"{name}/kernel"], kernel, 1e-5)
        np.testing.assert_allclose(found.tensors[f"{name}/bias"], bias, 1e-4, 1e-4)


def test_batch_norm_behind_the_relu_is_refused(tmp_path: Path) -> None:
    net, _ = normalised(behind_relu=True)
    with pytest.raises(WeightsError, match=r"conv1_1/bn \(BatchNorm\) stands before conv1_2"):
        formats.read(write(tmp_path / "a.caffemodel", net))


def test_the_form_of_2013_is_named(tmp_path: Path) -> None:
    v0 = part(2, part(1, part(1, "conv1_1") + part(2, "conv")))
    with pytest.raises(WeightsError, match=r"2013 \(V0\).*upgrade_net_proto_binary"):
        formats.read(write(tmp_path / "a.caffemodel", v0 * 13))


def test_a_blob_of_other_size_than_its_shape_is_refused(tmp_path: Path) -> None:
    def short(array: Array) -> bytes:
        return part(7, part(1, b"".join(map(varint, array.shape)))) + part(5, bytes(8))

    with pytest.raises(WeightsError, match="damaged: a blob of 2 numbers, where its shape has 108"):
        formats.read(write(tmp_path / "a.caffemodel", new_form(short)))


@pytest.mark.parametrize("form", [old_form, new_form])
def test_a_model_cut_short_is_recognised_and_refused(tmp_path: Path, form: Any) -> None:
    net = form()
    for length in (len(net) // 3, len(net) - 1):
        path = write(tmp_path / "a.caffemodel", net[:length])
        assert caffe.recognise(path)
        with pytest.raises(WeightsError, match="damaged: a protocol buffer that is cut short"):
            formats.read(path)


def test_other_protocol_buffers_are_not_taken_for_it(tmp_path: Path) -> None:
    graph = written.frozen(LAYERS, tmp_path / "graph")
    model = written.onnx(LAYERS, tmp_path / "model")
    mine = [write(tmp_path / f"{form.__name__}.bin", form()) for form in (old_form, new_form)]
    assert [caffe.recognise(path) for path in (graph, model, *mine)] == [False, False, True, True]
    assert not any(form.recognise(path) for form in (frozen, onnx) for path in mine)


def test_what_is_no_file_is_not_taken_for_it(tmp_path: Path) -> None:
    assert not caffe.recognise(tmp_path)
    assert not caffe.recognise(tmp_path / "missing")
    assert not caffe.recognise(write(tmp_path / "empty", b""))
    assert not caffe.recognise(write(tmp_path / "text", b"The quick brown fox"))


def test_another_network_is_refused(tmp_path: Path) -> None:
    few = {name: LAYERS[name] for name in vgg16.CONVOLUTIONS[:5]}
    with pytest.raises(WeightsError, match="no VGG16: it has no conv3_2, conv3_3"):
        formats.read(write(tmp_path / "a.caffemodel", new_form(layers=few)))


@pytest.mark.parametrize("seed", range(200))
def test_a_file_with_some_bytes_changed_gives_numbers_or_one_sentence(
    tmp_path: Path, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    data = bytearray(CONVOLUTIONS_ALONE)
    for _ in range(1 << int(generator.integers(0, 5))):
        begin = int(generator.choice(HEADS)) + int(generator.integers(0, 40))
        data[begin % len(data)] = int(generator.integers(0, 256))
    try:
        found = formats.read(write(tmp_path / "a.caffemodel", data))
    except WeightsError as error:
        assert str(error).startswith(f"{tmp_path}/a.caffemodel: ")  # noqa: PT017
    else:
        assert dataclasses.asdict(found.origin)["source"] == "Caffe model a.caffemodel"


CONVOLUTIONS_ALONE = new_form(layers={name: LAYERS[name] for name in vgg16.CONVOLUTIONS})
HEADS = [CONVOLUTIONS_ALONE.index(part(1, name)) - 8 for name in vgg16.CONVOLUTIONS]
