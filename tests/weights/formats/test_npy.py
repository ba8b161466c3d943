"""machrisaa's `.npy`, written byte by byte as Python 2 did, and by today's NumPy."""

from __future__ import annotations

import contextlib
import io
import pickle
import struct
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests import networks
from tests.weights.formats.given import Evil
from vggfeat import Extractor, WeightsError, vgg16
from vggfeat.weights import formats

CROPS = networks.pictures(1)
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"


@pytest.fixture(scope="module")
def made() -> networks.Layers:
    return networks.layers()


def as_python_2(made: networks.Layers) -> bytes:
    """Protocol 2 of Python 2's cPickle: everything that is no number is a string of bytes."""
    entries = b"".join(
        string(name) + b"]q\x01(" + array(kernel) + array(bias) + b"e"
        for name, (kernel, bias) in made.items()
    )
    objects = b"](}(" + entries + b"ue"
    state = b"(K\x01)" + dtype(b"O8", b"|", b"K?") + b"\x89" + objects + b"tb"
    return b"\x80\x02" + RECONSTRUCT + state + b"."


def string(text: str) -> bytes:
    return b"U" + bytes([len(text)]) + text.encode() + b"q\x02"


def dtype(name: bytes, order: bytes, flags: bytes = b"K\x00") -> bytes:
    arguments = b"U" + bytes([len(name)]) + name + b"K\x00K\x01\x87"
    state = b"(K\x03U\x01" + order + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff" + flags + b"t"
    return b"cnumpy\ndtype\n" + arguments + b"R" + state + b"b"


def array(values: NDArray[Any]) -> bytes:
    shape = b"(" + b"".join(b"J" + struct.pack("<i", side) for side in values.shape) + b"t"
    data = values.tobytes()
    return (
        RECONSTRUCT + b"(K\x01" + shape + dtype(b"f4", b"<") + b"\x89"
        + b"T" + struct.pack("<i", len(data)) + data + b"tb"
    )  # fmt: skip


def header(text: str) -> bytes:
    padded = text + " " * (-(len(text) + 11) % 16) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded.encode()


OBJECT = header("{'descr': '|O8', 'fortran_order': False, 'shape': (), }")


def expected(made: networks.Layers) -> str:
    bgr = made | {"conv1_1": (made["conv1_1"][0][:, :, ::-1], made["conv1_1"][1])}
    return networks.converted(bgr).fingerprint


def with_numpy(made: networks.Layers, protocol: int, path: Path, **changes: Any) -> None:
    whole = np.empty((), object)
    whole[()] = {name: list(pair) for name, pair in made.items()} | changes
    path.write_bytes(OBJECT + pickle.dumps(whole, protocol))


def test_what_python_2_wrote_is_read(made: networks.Layers, tmp_path: Path) -> None:
    (tmp_path / "vgg16.npy").write_bytes(OBJECT + as_python_2(made))
    loaded = np.load(tmp_path / "vgg16.npy", allow_pickle=True, encoding="latin1").item()
    np.testing.assert_array_equal(loaded["fc7"][0], made["fc7"][0])  # it is what NumPy expects
    weights = formats.read(tmp_path / "vgg16.npy")
    assert weights.fingerprint == expected(made)
    assert (weights.origin.channels, weights.origin.scale) == ("bgr", "caffe")
    assert weights.origin.decided == "declared by the names of caffe-tensorflow"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_todays_numpy_writes_is_read(
    made: networks.Layers, tmp_path: Path, protocol: int
) -> None:
    """Protocol 2 keeps bytes as text; 5 gives arrays by `_frombuffer`."""
    with_numpy(made, protocol, tmp_path / "a.npy")
    assert formats.read(tmp_path / "a.npy").fingerprint == expected(made)


def test_np_save_itself_is_read(made: networks.Layers, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", dict(made), allow_pickle=True)  # type: ignore[arg-type]
    assert formats.read(tmp_path / "a.npy").fingerprint == expected(made)


def test_what_caffe_tensorflow_wrote_is_read(made: networks.Layers, tmp_path: Path) -> None:
    layers = {name: {"weights": k, "biases": b} for name, (k, b) in made.items()}
    np.save(tmp_path / "a.npy", layers, allow_pickle=True)  # type: ignore[arg-type]
    assert formats.read(tmp_path / "a.npy").fingerprint == expected(made)


def test_biases_are_read_by_all_their_names(made: networks.Layers, tmp_path: Path) -> None:
    layers = {name: {"weights": k, "bias": b} for name, (k, b) in made.items()}
    np.save(tmp_path / "a.npy", layers, allow_pickle=True)  # type: ignore[arg-type]
    assert formats.read(tmp_path / "a.npy").fingerprint == expected(made)


def test_batch_normalisation_is_refused(made: networks.Layers, tmp_path: Path) -> None:
    """As caffe-tensorflow writes it, by names that do not say what is behind what."""
    layers: dict[str, Any] = {name: {"weights": k, "biases": b} for name, (k, b) in made.items()}
    for name in vgg16.CONVOLUTIONS:
        parts = ("mean", "variance", "scale", "offset")
        layers[f"bn{name[4:]}"] = {part: abs(made[name][1]) for part in parts}
    np.save(tmp_path / "a.npy", layers, allow_pickle=True)  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match="no VGG16: bn1_1/mean holds a number for each channel"):
        formats.read(tmp_path / "a.npy")


@pytest.mark.parametrize("kind", ["<f8", ">f4", "<f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_other_numbers_and_orders_are_read(tmp_path: Path, kind: Any, order: Any) -> None:
    made = {name: (k.astype("<f2"), b.astype("<f2")) for name, (k, b) in networks.layers().items()}
    cast = {name: [np.array(k, kind, order=order), b.astype(kind)] for name, (k, b) in made.items()}
    np.save(tmp_path / "a.npy", cast, allow_pickle=True)  # type: ignore[arg-type]
    as_float32: Any = {n: (k.astype("<f4"), b.astype("<f4")) for n, (k, b) in made.items()}
    assert formats.read(tmp_path / "a.npy").fingerprint == expected(as_float32)


def test_vectors_are_those_of_the_layers(made: networks.Layers, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(OBJECT + as_python_2(made))
    turned = made | {"conv1_1": (made["conv1_1"][0][:, :, ::-1], made["conv1_1"][1])}
    same = Extractor(networks.converted(turned))(CROPS)
    np.testing.assert_array_equal(Extractor(tmp_path / "a.npy")(CROPS), same)


def test_long_arrays_are_mapped(made: networks.Layers, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(OBJECT + as_python_2(made))
    layers = formats.find(tmp_path / "a.npy").layers
    assert isinstance(layers["fc6"].kernel.read(), np.memmap)


def test_a_vgg19_is_named_as_such(made: networks.Layers, tmp_path: Path) -> None:
    extra = {name: list(made["conv4_2"]) for name in vgg16.VGG19_LAYERS}
    with_numpy(made, 4, tmp_path / "a.npy", **extra)
    with pytest.raises(WeightsError, match="this is a VGG-19"):
        formats.read(tmp_path / "a.npy")


@pytest.mark.parametrize("protocol", [2, 4])
def test_what_would_run_is_not_run(made: networks.Layers, tmp_path: Path, protocol: int) -> None:
    touched = tmp_path / "touched"
    with_numpy(made, protocol, tmp_path / "a.npy", evil=Evil(touched))
    assert formats.read(tmp_path / "a.npy").fingerprint == expected(made)
    (tmp_path / "b.npy").write_bytes(OBJECT + pickle.dumps(Evil(touched), protocol))
    with pytest.raises(WeightsError, match="no VGG16"):
        formats.read(tmp_path / "b.npy")
    assert not touched.exists()
    np.load(tmp_path / "b.npy", allow_pickle=True)
    assert touched.exists()


def test_arrays_that_lie_about_their_shape_are_refused(
    made: networks.Layers, tmp_path: Path
) -> None:
    good = OBJECT + as_python_2(made)
    fc7 = b"J\x00\x01\x00\x00J\x00\x01\x00\x00t"
    assert good.count(fc7) == 1
    for sides in ((1 << 30, 1 << 30), (256, 257), (-256, 256)):
        shape = b"".join(b"J" + struct.pack("<i", side) for side in sides) + b"t"
        (tmp_path / "a.npy").write_bytes(good.replace(fc7, shape))
        with pytest.raises(WeightsError, match="damaged: an? (array|tensor)"):
            formats.read(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }") + b"\0" * 12,
         "it holds one array of numbers"),
        (header("{'descr': '|O', 'fortran_order': False, 'shape': (), }") + b"N.", "no VGG16"),
        (header("(" * 900), "an array without a header that is known"),
        (header("-" * 60_000 + "1"), "an array without a header that is known"),
        (header("__import__('os')"), "an array without a header that is known"),
        (b"\x93NUMPY\x09\x00", "an array without a header that is known"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", "an array without a header that is known"),
    ],
)  # fmt: skip
def test_what_is_no_dictionary_is_refused(tmp_path: Path, text: bytes, sentence: str) -> None:
    (tmp_path / "a.npy").write_bytes(text)
    with pytest.raises(WeightsError, match=sentence):
        formats.read(tmp_path / "a.npy")


def test_a_file_cut_short_is_one_sentence(made: networks.Layers, tmp_path: Path) -> None:
    data = OBJECT + as_python_2(made)
    for length in (6, 8, 20, 100, 300, len(data) // 2, len(data) - 1):
        (tmp_path / "a.npy").write_bytes(data[:length])
        with pytest.raises(WeightsError, match=str(tmp_path / "a.npy")):
            formats.read(tmp_path / "a.npy")


@cache
def whole() -> bytes:
    stream = io.BytesIO()
    np.save(stream, dict(networks.layers()), allow_pickle=True)  # type: ignore[arg-type]
    return stream.getvalue()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_file_with_changed_bytes_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("changed") / "a.npy"
    text = bytearray(whole())
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, 600))] = data.draw(st.integers(0, 255))
    path.write_bytes(text)
    with contextlib.suppress(WeightsError):
        formats.read(path)
