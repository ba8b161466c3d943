"""`weights verify`: that what is wrong is found out, and named."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from tests import networks
from vggfeat import VggfeatError, engines, reference
from vggfeat.preprocess import Preprocessing, to_rgb, upright
from vggfeat.weights import Weights, formats, oxford, store

REAL = os.environ.get("VGGFEAT_REAL_NOTOP")
real = pytest.mark.skipif(not REAL, reason="VGGFEAT_REAL_NOTOP does not name the published file")


@pytest.fixture(autouse=True)
def few_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of them: all would take a minute where every explanation is tried."""
    few = dict(list(oxford.photographs().items())[::8])
    monkeypatch.setattr(oxford, "photographs", lambda: few)
    monkeypatch.setattr(reference, "_STEP", 3)


def verified(weights: Weights) -> list[str]:
    said: list[str] = []
    reference.verify(weights, said.append)
    return said


@pytest.fixture(scope="module")
def oxfords() -> Weights:
    assert REAL
    return formats.read(Path(REAL))


def with_mean(weights: Weights, *mean: float) -> Weights:
    return Weights({**weights.tensors, "mean": np.array(mean, "f4")}, weights.origin)


def with_first(weights: Weights, change: Callable[[Any], Any]) -> Weights:
    kernel = np.ascontiguousarray(change(weights.tensors["conv1_1/kernel"]), np.float32)
    return Weights({**weights.tensors, "conv1_1/kernel": kernel}, weights.origin)


@real
def test_the_published_convolutions_are_proven_on_both_engines(oxfords: Weights) -> None:
    said = verified(oxfords)
    for engine in ("ncnn", "tensorflow"):
        (line,) = [line for line in said if line.startswith(f"{engine:<12} as Keras computes")]
        assert float(line.rpartition(" ")[2]) < 1e-5
    assert "pixels       as plain arithmetic gives them, to 1 grey level" in said


@real
@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda w: with_first(w, lambda k: k[:, :, ::-1]), "the channels of conv1_1 are in the"),
        (lambda w: with_mean(w, 103.939, 116.779, 123.68), "the mean is in the wrong order"),
        (lambda w: with_mean(w, 0, 0, 0), r"the mean is \[0, 0, 0\], not Oxford's \[123.68"),
        (lambda w: with_mean(w, 123.675, 116.28, 103.53), r"the mean is \[123.675, 116.28, "),
        (lambda w: with_first(w, lambda k: k / 255), r"conv1_1 is of another scale \(unit\)"),
        (lambda w: with_first(w, lambda k: k * 127.5), r"conv1_1 is of another scale \(tf\)"),
        (
            lambda w: with_mean(with_first(w, lambda k: k[:, :, ::-1]), 103.939, 116.779, 123.68),
            "the channels of conv1_1 are in the wrong order and the mean is in the wrong order",
        ),
        (lambda w: with_first(w, np.zeros_like), "neither the order of channels nor"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    oxfords: Weights,
    wrong: Callable[[Weights], Weights],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The others agree with it, as another test has it.
    monkeypatch.setattr(engines, "installed", lambda: ["ncnn"])
    with pytest.raises(VggfeatError, match=sentence):
        verified(wrong(oxfords))


@pytest.mark.parametrize("resampling", ["BICUBIC", "NEAREST", "LANCZOS"])
def test_another_resampling_is_named(resampling: str) -> None:
    def resized(data: bytes) -> Any:
        with Image.open(io.BytesIO(data)) as image:
            whole = to_rgb(upright(image))
        width, height = (side * 256 // min(whole.size) for side in whole.size)
        left, top = (width - 224) // 2, (height - 224) // 2
        shrunk = whole.resize((width, height), Image.Resampling[resampling])
        return np.asarray(shrunk.crop((left, top, left + 224, top + 224)))

    with (
        mock.patch.object(reference, "preprocess", resized),
        pytest.raises(VggfeatError, match=f"off by .*grey levels.*{resampling.lower()} resampling"),
    ):
        verified(networks.weights())


def test_another_crop_is_off_by_grey_levels() -> None:
    with (
        mock.patch.object(reference, "preprocess", Preprocessing(resize=300)),
        pytest.raises(VggfeatError, match="the preprocessing is not what it should be.*off by"),
    ):
        verified(networks.weights())


def test_another_training_is_compared_between_the_engines_only() -> None:
    said = verified(networks.weights())
    assert any(line.startswith("engines      ncnn and tensorflow agree to") for line in said)
    assert said[-1].startswith("reference    none: the convolutions are not Oxford's")


def test_an_engine_that_computes_something_else_is_named() -> None:
    create = engines.create

    def crooked(name: str, weights: Weights, *asked: Any, **how: Any) -> engines.Engine:
        if name == "tensorflow":
            bias = weights.tensors["conv3_1/bias"] + np.float32(0.5)
            weights = replace(weights, tensors={**weights.tensors, "conv3_1/bias": bias})
        return create(name, weights, *asked, **how)

    with (
        mock.patch.object(engines, "create", crooked),
        pytest.raises(VggfeatError, match="the engines ncnn and tensorflow differ by"),
    ):
        verified(networks.weights())


def test_numbers_that_have_changed_on_disk_are_found(home: Path) -> None:
    store.save(networks.weights(), "mine")
    path = store.path_of("mine")
    data = bytearray(path.read_bytes())
    data[-1000] ^= 64
    path.write_bytes(data)
    with pytest.raises(VggfeatError, match="damaged: the numbers no longer fit the fingerprint"):
        verified(store.open_weights("mine"))


def test_photographs_that_are_gone_are_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "SAMPLES", tmp_path)
    with pytest.raises(VggfeatError, match="cannot be read .*install vggfeat anew"):
        verified(networks.weights())
