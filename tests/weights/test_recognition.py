"""Channels, scale and training, told by the numbers, by the form, or by the user."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests import networks
from vggfeat.inputs import CHANNELS, SCALES, Input, of_scale
from vggfeat.weights import oxford, recognition
from vggfeat.weights.evidence import examine
from vggfeat.weights.layers import Layer, Network
from vggfeat.weights.tensors import of_array

# As printed for MatConvNet's and Keras' copies of Oxford's network.
FIRST_RED = 0.4800154
KERAS_MEAN, KERAS_DEVIATION = -0.0024379087, 0.20669945


BIAS = np.zeros(64, np.float32)


def kernel_for(channels: str, scale: str, noise: float = 0.0) -> Any:
    """Oxford's conv1_1 as a network of other conventions keeps it: float32 `[3,3,3,64]`."""
    kernel = oxford.conv1_1() * np.array(SCALES[scale][1], np.float32)[:, None]
    kernel = kernel + np.random.default_rng(0).normal(0, noise * kernel.std(), kernel.shape)
    return (kernel if channels == "rgb" else kernel[:, :, ::-1]).astype(np.float32)


def network(kernel: Any, declared: Input | None = None) -> Network:
    layer = Layer(("a",), of_array(kernel), "hwio", of_array(np.zeros(kernel.shape[-1], "f4")))
    return Network("a file", {"conv1_1": layer}, declared, "its names")


def test_the_kernel_that_ships_is_the_one_that_others_have_printed() -> None:
    kernel = oxford.conv1_1()
    assert kernel[0, 0, 0, 0] == np.float32(FIRST_RED)
    assert kernel.mean() == pytest.approx(KERAS_MEAN, abs=1e-8)
    assert kernel.std() == pytest.approx(KERAS_DEVIATION, abs=1e-7)


@pytest.mark.parametrize("scale", ["caffe", "torch", "tf", "unit"])
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("noise", [0, 0.01, 0.2])
def test_the_numbers_tell_order_and_scale(channels: str, scale: str, noise: float) -> None:
    evidence = examine(kernel_for(channels, scale, noise), BIAS)
    assert evidence is not None
    assert (evidence.training, evidence.channels, evidence.scale) == ("Oxford's", channels, scale)


def test_random_numbers_and_other_widths_tell_nothing() -> None:
    generator = np.random.default_rng(0)
    for _ in range(2000):
        kernel, bias = generator.normal(size=(3, 3, 3, 64)), generator.normal(size=64)
        assert examine(kernel.astype("f4"), bias.astype("f4")) is None
    assert examine(oxford.conv1_1()[..., :4], BIAS[:4]) is None
    assert examine(np.zeros((3, 3, 3, 64), "f4"), BIAS) is None


# torchvision's file: red of the first kernel, and the first biases, to four decimals.
RED = (-0.5537, 0.1427, 0.5290, -0.5831, 0.3566, 0.7657, -0.6902, -0.0480, 0.4841)
BIASES = (0.4034, 0.3778, 0.4644, -0.3228, 0.3940, -0.3953)


@pytest.mark.parametrize("scale", ["torch", "caffe", "unit"])
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("noise", [0, 0.02])
def test_torchvisions_training_is_told_by_its_first_kernel(
    channels: str, scale: str, noise: float
) -> None:
    """The numbers of it that are known; the others are random."""
    generator = np.random.default_rng(0)
    kernel = generator.normal(0, 0.3, (3, 3, 3, 64)).astype("f4")
    own = np.reshape(RED, (3, 3)) + generator.normal(0, noise, (3, 3))
    factor = SCALES[scale][1][0] / SCALES["torch"][1][0]
    kernel[:, :, 0 if channels == "rgb" else 2, 0] = own * factor
    bias = generator.normal(0, 0.3, 64).astype("f4")
    bias[: len(BIASES)] = BIASES
    decision = recognition.decide(network(kernel), kernel, bias)
    assert decision.taken == of_scale(channels, scale)
    training = recognition.training_of({}, decision.evidence)
    assert training.startswith(
        "fine-tuned from torchvision's" if noise else "torchvision's, as far"
    )


def test_where_form_and_numbers_disagree_the_numbers_win_with_a_warning() -> None:
    """jcjohnson's vgg16-00b39a1b.pth: torchvision's names, Caffe's numbers."""
    kernel = kernel_for("bgr", "caffe")
    decision = recognition.decide(network(kernel, of_scale("rgb", "torch")), kernel, BIAS)
    assert decision.taken == of_scale("bgr", "caffe")
    (warning,) = decision.warnings
    assert "its names stand for RGB, torch scale" in warning
    assert "conv1_1 says BGR, caffe scale" in warning
    assert "numbers are followed" in warning


def test_where_they_agree_there_is_nothing_to_warn_of() -> None:
    kernel = kernel_for("bgr", "caffe", 0.02)
    decision = recognition.decide(network(kernel, of_scale("bgr", "caffe")), kernel, BIAS)
    assert decision.taken == of_scale("bgr", "caffe")
    assert decision.warnings == ()
    assert "correlation 0.9998 with Oxford's" in decision.how


def test_a_mean_that_the_form_declares_stays_with_the_scale_that_the_numbers_confirm() -> None:
    own = Input("rgb", (120.0, 115.0, 100.0), (1.0, 1.0, 1.0))
    kernel = kernel_for("bgr", "caffe")
    decision = recognition.decide(network(kernel, own), kernel, BIAS)
    assert decision.taken == Input("bgr", own.mean, own.divisor)


def test_without_numbers_the_form_decides() -> None:
    kernel = networks.layers()["conv1_1"][0]
    decision = recognition.decide(network(kernel, of_scale("rgb", "torch")), kernel, BIAS)
    assert decision.taken == of_scale("rgb", "torch")
    assert decision.how == "declared by its names"


def test_without_either_nothing_is_guessed() -> None:
    kernel = networks.layers()["conv1_1"][0]
    for said in ({}, {"channels": "rgb"}, {"scale": "caffe"}):
        assert recognition.decide(network(kernel), kernel, BIAS, **said).taken is None
    decision = recognition.decide(network(kernel), kernel, BIAS, "bgr", "unit")
    assert decision.taken == of_scale("bgr", "unit")
    assert decision.how == "given with --channels bgr --scale unit"


def test_what_the_user_says_goes_first_and_a_contradiction_is_told() -> None:
    kernel = kernel_for("bgr", "caffe")
    decision = recognition.decide(network(kernel), kernel, BIAS, channels="rgb")
    assert decision.taken == of_scale("rgb", "caffe")
    (warning,) = decision.warnings
    assert warning.startswith("RGB, caffe scale is taken as you say, but conv1_1 says BGR")
    for scale in ("torch", "raw"):
        decision = recognition.decide(network(kernel), kernel, BIAS, scale=scale)
        assert decision.taken == of_scale("bgr", scale)
        assert decision.warnings
        assert decision.how.startswith(f"given with --scale {scale}; conv1_1 says BGR")


def test_a_scale_that_fits_none_is_left_to_the_form() -> None:
    kernel = kernel_for("bgr", "caffe") * np.float32(7)
    undecided = recognition.decide(network(kernel), kernel, BIAS)
    assert undecided.taken is None
    assert undecided.evidence is not None
    told = recognition.decide(network(kernel), kernel, BIAS, scale="caffe")
    assert told.taken == of_scale("bgr", "caffe")
    assert told.warnings == ()
    wrong = recognition.decide(network(kernel), kernel, BIAS, "rgb", "caffe")
    assert wrong.taken == of_scale("rgb", "caffe")
    assert "conv1_1 says BGR" in wrong.warnings[0]
    decision = recognition.decide(network(kernel, of_scale("rgb", "tf")), kernel, BIAS)
    assert decision.taken == of_scale("bgr", "tf")
    assert decision.how.endswith("with Oxford's in that order); declared by its names")
