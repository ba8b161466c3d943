"""safetensors files, written by the library itself or byte by byte."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save, save_file

from tests import networks, torch_models
from tests.networks import relative_error
from vggfeat import Extractor, WeightsError, vgg16
from vggfeat.inputs import Input
from vggfeat.weights import formats
from vggfeat.weights.formats import note

CROPS = networks.pictures(2)
PLACES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
Arrays = dict[str, NDArray[Any]]


def torchvision_arrays(made: networks.Layers, timm: bool = False) -> Arrays:
    """Layers as torchvision or timm keeps them: OIHW, and columns of fc6 in C,H,W order."""
    names = dict(zip(vgg16.CONVOLUTIONS, (f"features.{p}" for p in PLACES), strict=True))
    connected = ("pre_logits.fc1", "pre_logits.fc2", "head.fc") if timm else (
        "classifier.0", "classifier.3", "classifier.6")  # fmt: skip
    names |= zip(vgg16.FULLY_CONNECTED, connected, strict=True)
    arrays = {}
    for layer, (kernel, bias) in made.items():
        if kernel.ndim == 4:
            turned = kernel.transpose(3, 2, 0, 1)
        else:
            turned = kernel.T
            if layer == "fc6":
                turned = kernel.reshape(7, 7, -1, kernel.shape[1]).transpose(3, 2, 0, 1)
                turned = turned if timm else turned.reshape(len(turned), -1)
            elif timm and layer == "fc7":
                turned = turned[:, :, None, None]
        arrays[f"{names[layer]}.weight"] = np.ascontiguousarray(turned)
        arrays[f"{names[layer]}.bias"] = bias
    return arrays


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return torchvision_arrays(networks.layers())


def in_order_of_the_network(weights: Any) -> dict[str, NDArray[np.float32]]:
    return {name: array for name, array in weights.tensors.items() if "conv1_1" not in name}


@pytest.mark.parametrize("timm", [False, True])
def test_the_layers_are_those_that_were_written(tmp_path: Path, timm: bool) -> None:
    made = networks.layers()
    save_file(torchvision_arrays(made, timm), tmp_path / "a.safetensors")
    weights = formats.read(tmp_path / "a.safetensors")
    assert weights.origin.decided == "declared by torchvision's names"
    for name, (kernel, bias) in made.items():
        np.testing.assert_array_equal(weights.tensors[f"{name}/bias"], bias)
        if name != "conv1_1":
            np.testing.assert_array_equal(weights.tensors[f"{name}/kernel"], kernel)


def test_the_same_network_in_torchs_form_is_the_same_to_the_bit(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    found = set()
    for timm in (False, True):
        arrays = torchvision_arrays(networks.layers(), timm)
        save_file(arrays, tmp_path / "a.safetensors")
        torch.save({k: torch.from_numpy(v) for k, v in arrays.items()}, tmp_path / "a.pth")
        found |= {formats.read(tmp_path / f"a.{s}").fingerprint for s in ("safetensors", "pth")}
    assert len(found) == 1


@pytest.mark.parametrize("norm", [False, True])
def test_torchs_own_writer_gives_torchs_fc7(tmp_path: Path, norm: bool) -> None:
    torch = pytest.importorskip("torch")
    writer = pytest.importorskip("safetensors.torch")
    model = torch_models.narrow_vgg16(norm=norm)
    writer.save_file(model.state_dict(), tmp_path / "a.safetensors")
    with torch.no_grad():
        pooled = model.features(torch_models.torch_pixels(CROPS))
        expected = model.classifier[:5](pooled.flatten(1)).numpy()
    assert relative_error(Extractor(tmp_path / "a.safetensors")(CROPS), expected) < 1e-5


@pytest.mark.parametrize("dtype", ["float16", "float64", ml_dtypes.bfloat16])
def test_other_float_types_become_float32(arrays: Arrays, tmp_path: Path, dtype: Any) -> None:
    cast = {name: array.astype(dtype) for name, array in arrays.items()}
    write(tmp_path / "a.safetensors", cast)
    kernel = formats.read(tmp_path / "a.safetensors").tensors["fc7/kernel"]
    expected = cast["classifier.3.weight"].astype(np.float32).T
    np.testing.assert_array_equal(kernel, expected)


CODES = {"float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64", "int64": "I64"}


def write(path: Path, arrays: Arrays, change: Callable[[Any], None] = lambda _: None) -> None:
    """By hand, after the published description."""
    header: dict[str, Any] = {}
    end = 0
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        code = CODES[array.dtype.name]
        header[name] = {"dtype": code, "shape": array.shape, "data_offsets": [begin, end]}
    change(header)
    text = json.dumps(header).encode()
    body = b"".join(array.tobytes() for array in arrays.values())
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def test_integers_among_the_tensors_are_passed_over(arrays: Arrays, tmp_path: Path) -> None:
    write(tmp_path / "a", {"features.0.num_batches_tracked": np.array(3)} | arrays)
    write(tmp_path / "b", arrays)
    assert formats.read(tmp_path / "a").fingerprint == formats.read(tmp_path / "b").fingerprint


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_names_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, random: Any
) -> None:
    folder = tmp_path_factory.mktemp("order")
    items = list(torchvision_arrays(networks.layers()).items())
    write(folder / "a", dict(items))
    random.shuffle(items)
    write(folder / "b", dict(items))
    assert formats.read(folder / "a").fingerprint == formats.read(folder / "b").fingerprint


def test_a_note_in_the_metadata_says_what_it_takes(arrays: Arrays, tmp_path: Path) -> None:
    taken = Input("bgr", (1.0, 2.0, 3.5), (255.0, 1.0, 0.1))
    for text, expected in ((note.to_text(taken), taken), ("junk", None)):
        save_file(arrays, tmp_path / "a", {"vggfeat_input": text, "format": "pt"})
        network = formats.find(tmp_path / "a")
        if expected:
            assert (network.declared, network.declared_by) == (expected, note.DECLARED_BY)
        else:
            assert network.declared_by == "torchvision's names"


def test_the_numbers_are_not_copied_before_they_are_converted(
    arrays: Arrays, tmp_path: Path
) -> None:
    save_file(arrays, tmp_path / "a")
    for layer in formats.find(tmp_path / "a").layers.values():
        assert isinstance(layer.kernel.read(), np.memmap)
        assert not layer.kernel.read().flags.owndata


FIRST = "features.0.weight"


def set_in(name: str, key: str, value: Any) -> Callable[[Any], None]:
    def change(header: Any) -> None:
        header[name][key] = value

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (set_in(FIRST, "data_offsets", [0, 1 << 50]), "reaches beyond the end"),
        (set_in(FIRST, "data_offsets", [-8, 424]), "reaches beyond the end"),
        (set_in(FIRST, "data_offsets", [432, 0]), "reaches beyond the end"),
        (set_in(FIRST, "data_offsets", [0.0, 432.0]), "reaches beyond the end"),
        (set_in(FIRST, "data_offsets", [0]), "describes a tensor wrongly"),
        (set_in(FIRST, "data_offsets", [4, 436]), "tensors overlap"),
        (set_in(FIRST, "shape", [4, 3, 3, 4]), "not as many numbers as its shape"),
        (set_in(FIRST, "shape", [1 << 40] * 4), "not as many numbers as its shape"),
        (set_in(FIRST, "shape", 3), "describes a tensor wrongly"),
        (set_in(FIRST, "shape", [True]), "reaches beyond the end"),
        (set_in(FIRST, "dtype", "F64"), "not as many numbers as its shape"),
        (lambda header: header.update(x=None), "describes a tensor wrongly"),
        (lambda header: header[FIRST].pop("dtype"), "describes a tensor wrongly"),
        (lambda header: header.pop(FIRST), "no VGG16"),
        (set_in(FIRST, "dtype", []), "no VGG16"),
    ],
)
def test_a_header_that_lies_is_refused(
    arrays: Arrays, tmp_path: Path, change: Callable[[Any], None], sentence: str
) -> None:
    write(tmp_path / "a", arrays, change)
    with pytest.raises(WeightsError, match=sentence):
        formats.read(tmp_path / "a")


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (b'{"a": ' + b"[" * 100_000, "its header is no JSON"),
        (b'{"a": ' + b'{"a":' * 100_000, "its header is no JSON"),
        (b'{"a": ' + b"9" * 100_000, "its header is no JSON"),
        (b'{"a": 1, "a": 2}', "its header has a name twice"),
        (b'{"a": "\xff"}', "its header is no JSON"),
        (b'{"a"', "its header is no JSON"),
        (b"{}", "no VGG16"),
        (b'{"__metadata__": 3}', "no VGG16"),
    ],
)
def test_a_header_that_is_none_is_refused(tmp_path: Path, header: bytes, sentence: str) -> None:
    (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(WeightsError, match=sentence):
        formats.read(tmp_path / "a")


@pytest.mark.parametrize(
    ("length", "sentence"),
    [(1 << 26, "its header is cut short"), (1 << 60, "not a form"), (0, "not a form")],
)
def test_a_header_of_no_length_is_refused(tmp_path: Path, length: int, sentence: str) -> None:
    (tmp_path / "a").write_bytes(length.to_bytes(8, "little") + b'{"a": 1}')
    with pytest.raises(WeightsError, match=sentence):
        formats.read(tmp_path / "a")


def test_a_header_as_long_as_no_networks_is_refused(tmp_path: Path) -> None:
    header = b'{"a": ' + b" " * (5 << 20) + b"1}"
    (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(WeightsError, match="header is longer than"):
        formats.read(tmp_path / "a")


def test_a_file_cut_short_is_one_sentence(arrays: Arrays, tmp_path: Path) -> None:
    save_file(arrays, tmp_path / "a")
    data = (tmp_path / "a").read_bytes()
    for length in (0, 5, 12, 100, 2000, len(data) // 2, len(data) - 1):
        (tmp_path / "a").write_bytes(data[:length])
        with pytest.raises(WeightsError, match=str(tmp_path / "a")):
            formats.read(tmp_path / "a")


@cache
def whole() -> bytes:
    return save(torchvision_arrays(networks.layers()))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_file_with_changed_bytes_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("changed") / "a"
    text = bytearray(whole())
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, 3000))] = data.draw(st.integers(0, 255))
    path.write_bytes(text)
    with contextlib.suppress(WeightsError):
        formats.read(path, channels="rgb", scale="torch")
