"""The file of a head: it comes back as it was, or is refused in a sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.head.made import RECIPE
from vggfeat import VggfeatError
from vggfeat.errors import UsageError
from vggfeat.head import file
from vggfeat.head.file import Head
from vggfeat.preprocess import preprocessing

NAMES = st.lists(st.text(st.characters()), min_size=2, max_size=5, unique=True)


def made(classes: tuple[str, ...] = ("a", "b"), width: int = 6) -> Head:
    generator = np.random.default_rng(3)
    kernel = generator.standard_normal((width, len(classes))).astype(np.float32)
    bias = generator.standard_normal(len(classes)).astype(np.float32)
    return Head(kernel, bias, classes, RECIPE, {"C": 0.5}, np.array([3, 2**64 - 1], np.uint64))


@given(names=NAMES)
@settings(max_examples=25, deadline=None)
def test_what_is_written_comes_back(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("head") / "a.head"
    head = made(tuple(names))
    file.write(head, path)
    found = file.read(path)
    for name in ("kernel", "bias", "seen"):
        np.testing.assert_array_equal(getattr(found, name), getattr(head, name))
    assert (found.classes, found.recipe, found.about) == (tuple(names), RECIPE, {"C": 0.5})
    assert file.recognise(path)


def test_equal_heads_give_equal_bytes(tmp_path: Path) -> None:
    for name in "ab":
        file.write(made(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_probabilities_are_the_softmax_of_a_linear_layer() -> None:
    head = made(("a", "b", "c"), 12)
    maps = np.random.default_rng(0).standard_normal((4, 2, 3, 2)).astype(np.float32) * 50
    flat = [[maps[n, h, w, c] for h in range(2) for w in range(3) for c in range(2)] for n in range(4)]  # fmt: skip  # noqa: E501
    logits = np.array(flat, float) @ head.kernel.astype(float) + head.bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(head.probabilities(maps), expected, atol=1e-5)
    half = head.probabilities(maps.astype(np.float16))
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, expected, atol=0.2)
    assert np.isfinite(head.probabilities(maps * np.float32(1e6))).all()
    with pytest.raises(UsageError, match="features of 5 numbers, but the head takes 12"):
        head.logits(np.zeros((2, 5), np.float32))


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.head"
    file.write(made(), path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(VggfeatError, match="a damaged head|no head"):
            file.read(path)
    path.write_bytes(whole.replace(b"classes", b"CLASSES"))
    with pytest.raises(VggfeatError, match="a damaged head"):
        file.read(path)
    path.write_bytes(whole.replace(rb"\"version\": 1", rb"\"version\": 9"))
    with pytest.raises(VggfeatError, match="of another version of vggfeat: fit it again"):
        file.read(path)
    path.write_bytes(whole[:-4] + np.float32(np.nan).tobytes())
    with pytest.raises(VggfeatError, match="a damaged head .*NaN"):
        file.read(path)


def test_a_number_that_is_none_is_refused() -> None:
    head = made()
    with pytest.raises(ValueError, match="NaN"):
        replace(head, bias=np.array([np.nan, 0], np.float32))
    with pytest.raises(ValueError, match="shapes"):
        replace(head, classes=("a", "b", "c"))
    with pytest.raises(ValueError, match="of different names"):
        replace(head, classes=("a", "a"))


def test_another_file_is_no_head(tmp_path: Path, narrow_file: Path) -> None:
    with pytest.raises(VggfeatError, match="no head: make one"):
        file.read(narrow_file)
    with pytest.raises(VggfeatError, match="cannot be read: Is a directory"):
        file.read(tmp_path)
    with pytest.raises(VggfeatError, match="cannot be read: No such file"):
        file.read(tmp_path / "none")
    with pytest.raises(VggfeatError, match="cannot be written: No such file"):
        file.write(made(), tmp_path / "none" / "a.head")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (replace(RECIPE, layer="fc6"), "layer fc6, not fc7"),
        (replace(RECIPE, fingerprint=32 * "cd"), r"weights .* \(cdcdcdcd\), not .* \(abababab\)"),
        (replace(RECIPE, preprocessing=preprocessing(300)), "resize 300, not 256"),
        (replace(RECIPE, normalize="l2"), "normalize l2, not none"),
    ],
)
def test_other_features_are_refused(other: object, told: str) -> None:
    head = made()
    head.check(RECIPE, "feats.npy")
    with pytest.raises(VggfeatError, match=f"^feats.npy: not what the head was fitted on: {told}$"):
        head.check(other, "feats.npy")  # type: ignore[arg-type]
