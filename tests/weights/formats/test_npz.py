"""Frossard's `.npz` and its kin, written by NumPy."""

from __future__ import annotations

import contextlib
import io
import pickle
import zipfile
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
from vggfeat.inputs import Input
from vggfeat.weights import formats
from vggfeat.weights.formats import note

CROPS = networks.pictures(1)
WRITERS = {"stored": np.savez, "deflated": np.savez_compressed}
Arrays = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def made() -> networks.Layers:
    return networks.layers()


def frossard(made: networks.Layers, kernel: str = "_W", bias: str = "_b") -> Arrays:
    return {
        f"{name}{part}": array
        for name, pair in made.items()
        for part, array in zip((kernel, bias), pair, strict=True)
    }


@pytest.mark.parametrize("write", WRITERS)
def test_frossards_names_are_read(made: networks.Layers, tmp_path: Path, write: str) -> None:
    WRITERS[write](tmp_path / "a.npz", **frossard(made))
    weights = formats.read(tmp_path / "a.npz")
    assert weights.fingerprint == networks.converted(made).fingerprint
    assert weights.origin.decided == "declared by Frossard's names"
    assert (weights.origin.channels, weights.origin.scale) == ("rgb", "caffe")
    same = Extractor(networks.converted(made))(CROPS)
    np.testing.assert_array_equal(Extractor(weights)(CROPS), same)


@pytest.mark.parametrize(
    ("kernel", "bias"), [("/W", "/b"), ("/kernel", "/bias"), ("_weights", "_biases")]
)
def test_other_names_say_nothing_of_pixels_and_the_user_is_asked(
    made: networks.Layers, tmp_path: Path, kernel: str, bias: str
) -> None:
    np.savez(tmp_path / "a.npz", **frossard(made, kernel, bias))
    with pytest.raises(WeightsError, match="say it with --channels"):
        formats.read(tmp_path / "a.npz")
    weights = formats.read(tmp_path / "a.npz", channels="rgb", scale="caffe")
    assert weights.fingerprint == networks.converted(made).fingerprint


@pytest.mark.parametrize(("kernel", "bias"), [("_W", "_bias"), ("/weights", "/bias"), (".W", ".b")])
def test_biases_are_read_by_all_their_names(
    made: networks.Layers, tmp_path: Path, kernel: str, bias: str
) -> None:
    np.savez(tmp_path / "a.npz", **frossard(made, kernel, bias))
    weights = formats.read(tmp_path / "a.npz", channels="rgb", scale="caffe")
    assert weights.fingerprint == networks.converted(made).fingerprint


@pytest.mark.parametrize("name", ["{}_offset", "bn{}_gamma", "bn{}/moving_mean", "prelu{}"])
def test_what_is_as_wide_as_a_convolution_and_no_bias_is_refused(
    made: networks.Layers, tmp_path: Path, name: str
) -> None:
    more = {name.format(layer): made[layer][1] for layer in vgg16.CONVOLUTIONS}
    np.savez(tmp_path / "a.npz", **frossard(made), **more)
    with pytest.raises(WeightsError, match=f"no VGG16: {name.format('conv1_1')} holds a number"):
        formats.read(tmp_path / "a.npz")


def test_what_is_as_wide_as_fc6_leaves_the_convolutions(
    made: networks.Layers, tmp_path: Path
) -> None:
    slots = {f"{layer}_b/Momentum": made[layer][1] for layer in vgg16.LAYERS}
    np.savez(tmp_path / "a.npz", **frossard(made), **slots, mean=np.zeros(3))
    assert formats.read(tmp_path / "a.npz").layers == vgg16.LAYERS
    np.savez(tmp_path / "a.npz", **frossard(made), bn6_gamma=made["fc6"][1])
    assert formats.read(tmp_path / "a.npz").layers == vgg16.CONVOLUTIONS


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("kind", ["<f8", ">f4", "<f2"])
def test_other_numbers_and_orders_are_read(tmp_path: Path, write: str, kind: Any) -> None:
    half = {name: (k.astype("<f2"), b.astype("<f2")) for name, (k, b) in networks.layers().items()}
    cast = {name: np.array(a, kind, order="F") for name, a in frossard(half).items()}  # type: ignore[arg-type]
    WRITERS[write](tmp_path / "a.npz", **cast)
    as_float32: Any = {n: (k.astype("<f4"), b.astype("<f4")) for n, (k, b) in half.items()}
    expected = networks.converted(as_float32).fingerprint
    assert formats.read(tmp_path / "a.npz").fingerprint == expected


def test_a_state_dict_in_an_archive_is_read(made: networks.Layers, tmp_path: Path) -> None:
    """`{name: tensor.numpy()}` saved with `np.savez`: kernels OIHW."""
    places = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    arrays: Arrays = {}
    for name, place in zip(vgg16.CONVOLUTIONS, places, strict=True):
        arrays[f"features.{place}.weight"] = made[name][0].transpose(3, 2, 0, 1)
        arrays[f"features.{place}.bias"] = made[name][1]
    np.savez(tmp_path / "a.npz", **arrays)
    weights = formats.read(tmp_path / "a.npz")
    assert weights.origin.decided == "declared by torchvision's names"
    np.testing.assert_array_equal(weights.tensors["conv4_2/kernel"], made["conv4_2"][0])


def test_stored_numbers_are_not_copied_before_they_are_converted(
    made: networks.Layers, tmp_path: Path
) -> None:
    np.savez(tmp_path / "a.npz", **frossard(made))
    for layer in formats.find(tmp_path / "a.npz").layers.values():
        assert isinstance(layer.kernel.read(), np.memmap)
        assert not layer.kernel.read().flags.owndata


def test_a_note_in_the_archive_says_what_it_takes(made: networks.Layers, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **frossard(made))
    taken = Input("bgr", (1.0, 2.0, 3.5), (255.0, 1.0, 0.1))
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.comment = note.to_text(taken).encode()
    assert formats.find(tmp_path / "a.npz").declared == taken
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.comment = b"\xff junk"
    assert formats.find(tmp_path / "a.npz").declared_by == "Frossard's names"


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_names_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, random: Any
) -> None:
    path = tmp_path_factory.mktemp("order") / "a.npz"
    made = networks.layers()
    items = list(frossard(made).items())
    random.shuffle(items)
    np.savez(path, **dict(items))
    assert formats.read(path).fingerprint == networks.converted(made).fingerprint


def test_objects_are_refused_and_not_run(made: networks.Layers, tmp_path: Path) -> None:
    evil = np.empty((), object)
    evil[()] = Evil(tmp_path / "touched")
    np.savez(tmp_path / "a.npz", **frossard(made), evil=evil)
    with pytest.raises(WeightsError, match="holds Python objects"):
        formats.read(tmp_path / "a.npz")
    assert not (tmp_path / "touched").exists()
    np.load(tmp_path / "a.npz", allow_pickle=True)["evil"]
    assert (tmp_path / "touched").exists()


def entry(text: str, content: bytes = b"") -> bytes:
    padded = text + " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode() + content


BIG = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }"


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        entry(BIG % "1099511627776, 4", b"abcd"),
        entry(BIG % "4611686018427387904, 4611686018427387904", b"abcd"),
        entry(BIG % "-4, 4", b"abcd"),
        entry(BIG % "2, 2", b"abcd"),
        entry(BIG % ("1," * 9), b"abcd"),
        entry("(" * 900),
        entry(BIG % "1, " + "-" * 20_000),
        pickle.dumps(Path("x")),
    ],
)
def test_arrays_that_are_none_are_refused(
    made: networks.Layers, tmp_path: Path, content: bytes, compression: int
) -> None:
    np.savez(tmp_path / "a.npz", **frossard(made))
    with zipfile.ZipFile(tmp_path / "a.npz", "a", compression) as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(WeightsError, match="damaged"):
        formats.read(tmp_path / "a.npz")


def test_a_size_that_deflate_cannot_reach_is_refused(made: networks.Layers, tmp_path: Path) -> None:
    """The directory and the array's header agree on a gigabyte; the bytes are a few."""
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conv1_1_W.npy", entry(BIG % "268435456,", b"abcd"))
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02") + 24
    size = (1 << 30) + len(entry(BIG % "268435456,"))
    data[at : at + 4] = size.to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="has no such size"):
        formats.read(path)


def test_a_changed_number_in_a_deflated_array_is_seen(
    made: networks.Layers, tmp_path: Path
) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **frossard(made))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="damaged: '.*' cannot be decompressed"):
        formats.read(path)


def test_entries_on_one_place_are_refused(made: networks.Layers, tmp_path: Path) -> None:
    """Two names for the same bytes, as zip bombs have them."""
    path = tmp_path / "a.npz"
    content = entry(BIG % "64,", b"\0" * 256)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", content)
        archive.writestr("b.npy", content)
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 42 : at + 46] = (0).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="entries of the zip archive overlap"):
        formats.read(path)


def test_a_file_cut_short_is_one_sentence(made: networks.Layers, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **frossard(made))
    data = (tmp_path / "a.npz").read_bytes()
    for length in (0, 4, 30, 200, len(data) // 2, len(data) - 1):
        (tmp_path / "a.npz").write_bytes(data[:length])
        with pytest.raises(WeightsError, match=str(tmp_path / "a.npz")):
            formats.read(tmp_path / "a.npz")


@cache
def whole(write: str) -> bytes:
    stream = io.BytesIO()
    WRITERS[write](stream, **frossard(networks.layers()))
    return stream.getvalue()


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("write", WRITERS)
def test_a_file_with_changed_bytes_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, write: str, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("changed") / "a.npz"
    text = bytearray(whole(write))
    places = st.integers(0, 600) | st.integers(len(text) - 3000, len(text) - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(places)] = data.draw(st.integers(0, 255))
    path.write_bytes(text)
    with contextlib.suppress(WeightsError):
        formats.read(path)
