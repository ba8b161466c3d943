"""What is computed in fewer bits: how far it is off, and where it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from tests import networks
from tests.networks import relative_error
from vggfeat import Extractor, engines, extract, load_features
from vggfeat.activations import parse_all
from vggfeat.engines import gpu, precision
from vggfeat.engines.replica import Compilation
from vggfeat.engines.tensorflow import TensorFlowEngine
from vggfeat.errors import UsageError, VggfeatError
from vggfeat.weights.canonical import Weights

CROPS = networks.pictures(3)
LAYERS = ("conv1_2:avg", "conv4_3:linear", "pool5", "fc6", "fc7:linear", "fc7", "fc8")

# Bits of the mantissa behind the point, by which a number moves by half of the last one at most.
BITS = {"bfloat16": 7, "float16": 10}


def computed(
    name: str, weights: Weights | None = None, compilation: Compilation | None = None
) -> list[NDArray[np.float32]]:
    engine = TensorFlowEngine(
        weights or networks.weights(), parse_all(LAYERS), precision=name, compilation=compilation
    )
    return engine.batch_stage([CROPS])


@pytest.fixture(scope="module")
def exact() -> list[NDArray[np.float32]]:
    return computed("float32")


@pytest.mark.parametrize(
    ("name", "xla"), [("bfloat16", False), ("float16", False), ("bfloat16", True)]
)
def test_the_error_is_of_the_size_of_the_last_bit(
    exact: list[NDArray[np.float32]], name: str, xla: bool
) -> None:
    """Not smaller: then it would have been computed in float32."""
    step = 2.0 ** -BITS[name]
    for found, expected in zip(computed(name, None, Compilation(xla=xla)), exact, strict=True):
        assert found.dtype == np.float32
        assert step / 20 < relative_error(found, expected) < 3 * step


def test_a_compiled_graph_computes_the_same(exact: list[NDArray[np.float32]]) -> None:
    found = computed("float32", None, Compilation(xla=True, channels_first=True))
    for features, expected in zip(found, exact, strict=True):
        assert relative_error(features, expected) < 1e-5


def test_float16_holds_activations_that_are_larger_than_its_largest_number() -> None:
    """Ten times those of Oxford's network on photographs, which reach 14,000."""
    layers = networks.layers()
    kernel, bias = layers["conv1_1"]
    layers["conv1_1"] = kernel * 500, bias
    weights = networks.converted(layers)
    found, expected = computed("float16", weights), computed("float32", weights)
    assert max(float(np.abs(features).max()) for features in expected) > 1e5
    for features, right in zip(found, expected, strict=True):
        assert relative_error(features, right) < 5e-3


def test_float16_that_overflows_all_the_same_names_the_way_out() -> None:
    layers = networks.layers()
    kernel, bias = layers["conv1_1"]
    layers["conv1_1"] = kernel * 1e5, bias
    extractor = Extractor(networks.converted(layers), engine="tensorflow")
    extractor.engine = TensorFlowEngine(
        extractor.weights, extractor.activations, precision="float16"
    )
    with pytest.raises(VggfeatError, match="NaN or infinite"):
        extractor(CROPS)


def with_cards(monkeypatch: pytest.MonkeyPatch, *capabilities: tuple[int, int]) -> None:
    cards = [gpu.Card(n, f"Card {n}", 1, 1, has, "") for n, has in enumerate(capabilities)]
    monkeypatch.setattr(gpu, "cards", lambda: cards)
    monkeypatch.setattr(gpu, "usable", lambda: bool(cards))
    monkeypatch.setattr(gpu, "why_not", lambda: None)


@pytest.mark.parametrize(
    ("capability", "expected"),
    [
        ((6, 1), ["float32"]),
        ((7, 5), ["float32", "float16"]),
        ((8, 0), ["float32", "tf32", "bfloat16", "float16"]),
        ((10, 0), ["float32", "tf32", "bfloat16", "float16"]),
    ],
)
def test_what_a_card_computes_in_goes_by_its_capability(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: list[str]
) -> None:
    with_cards(monkeypatch, (9, 0), capability)
    assert precision.possible("tensorflow") == expected


def test_a_card_that_is_not_asked_for_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    with_cards(monkeypatch, (9, 0), (6, 1))
    precision.check("bfloat16", "tensorflow", "0")
    for devices in ("all", "1"):
        with pytest.raises(UsageError, match=r"Card 1 has compute capability 6\.1, .* takes 8\.0"):
            precision.check("bfloat16", "tensorflow", devices)


FLAGS = {"avx512f avx512_bf16": True, "amx_tile amx_bf16": True, "avx512f avx512_fp16": False}


@pytest.mark.parametrize(("flags", "has"), FLAGS.items())
def test_processors_compute_in_bfloat16_where_they_can(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str, has: bool
) -> None:
    with_cards(monkeypatch)
    told = tmp_path / "cpuinfo"
    told.write_text(f"processor : 0\nmodel name : avx512_bf16\nflags\t\t: fpu {flags}\n")
    monkeypatch.setattr(precision, "_PROCESSORS", told)
    assert precision.possible("tensorflow") == ["float32", *["bfloat16"] * has]
    if not has:
        with pytest.raises(UsageError, match="this processor has no bfloat16 arithmetic"):
            precision.check("bfloat16", "tensorflow")


@pytest.mark.parametrize(
    ("name", "engine", "sentence"),
    [
        ("float64", "tensorflow", "no precision 'float64'; there are float32, tf32"),
        ("bfloat16", "ncnn", "ncnn computes in float32 alone; there is float32"),
        ("tf32", "auto", "tf32 cannot be computed here: it takes a GPU, and there is none"),
        ("float16", "tensorflow", "it takes a GPU, and there is none; there is float32"),
    ],
)
def test_what_cannot_be_computed_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, engine: str, sentence: str
) -> None:
    with_cards(monkeypatch)
    with pytest.raises(UsageError, match=sentence):
        Extractor(networks.weights(), engine=engine, precision=name)


def test_tf32_is_on_only_while_it_is_asked_for() -> None:
    """The switch is the process's own, so each engine sets it for its batches."""
    engines_of = {
        name: TensorFlowEngine(networks.weights(), parse_all(["pool5"]), precision=name)
        for name in ("float32", "tf32")
    }
    for name in ("tf32", "float32", "tf32"):
        engines_of[name].batch_stage([CROPS])
        assert tf.config.experimental.tensor_float_32_execution_enabled() == (name == "tf32")


def test_rows_of_another_precision_are_never_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, samples: list[Path]
) -> None:
    monkeypatch.setattr(precision, "_processor_has_bfloat16", lambda: True)
    made: dict[str, Any] = {"weights": networks.weights(), "layer": "pool5:avg"}
    output = tmp_path / "feats.npy"
    assert extract(samples[:2], output, engine="tensorflow", **made).computed == 2
    exact = np.array(load_features(output)[0])
    for computed_now in (2, 0):
        report = extract(samples[:2], output, precision="bfloat16", **made)
        assert (report.computed, report.kept) == (computed_now, 2 - computed_now)
    assert relative_error(load_features(output)[0], exact) > 1e-4
    assert engines.auto("bfloat16") == "tensorflow"
