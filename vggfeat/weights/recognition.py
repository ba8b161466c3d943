"""What conv1_1 takes and whose training it is: told by its numbers, else by the file's form.

Two trainings of VGG16 are in use: Oxford's, in most forms, and torchvision's. Their first kernels
are known. A network derived from one of them keeps a conv1_1 that correlates with it near 1 in
one order of the channels, and not in the other: Oxford's flipped gives 0.84. How large the
numbers are, beside the known ones, tells the scale of the pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vggfeat import vgg16
from vggfeat.inputs import CHANNELS, RGB, SCALES, Input, of_scale
from vggfeat.weights import oxford
from vggfeat.weights.layers import Network
from vggfeat.weights.origin import UNKNOWN

Float32 = NDArray[np.float32]

OXFORD = "Oxford's"
TORCHVISION = "torchvision's"

# torchvision's vgg16-397923af, as printed in many places: red of conv1_1's first kernel, and its
# first biases.
_TORCHVISION_RED = (-0.5537, 0.1427, 0.5290, -0.5831, 0.3566, 0.7657, -0.6902, -0.0480, 0.4841)
_TORCHVISION_BIASES = (0.4034, 0.3778, 0.4644, -0.3228, 0.3940, -0.3953)
_PRINTED = 6e-5  # four decimals

_DERIVED = 0.9  # the least correlation of a fine-tuned conv1_1 with the one it began as
_ROUNDED = 5e-3  # the most that bfloat16 or a division moves numbers, relative to their norm
_SCALE_TOLERANCE = 0.1


@dataclass(frozen=True)
class Evidence:
    """What the numbers of conv1_1 say.

    Attributes:
        training: whose training it is derived from.
        channels: the order it takes.
        correlation: with the known kernel, in that order.
        scale: a name of `inputs.SCALES`, None where it cannot be told.
    """

    training: str
    channels: str
    correlation: float
    scale: str | None


@dataclass(frozen=True)
class Decision:
    """What conv1_1 takes. Without `taken` neither form nor numbers decide."""

    taken: Input | None
    how: str
    evidence: Evidence | None
    warnings: tuple[str, ...] = ()


def examine(kernel: Float32, bias: Float32) -> Evidence | None:
    """Look at conv1_1 as a file has it: kernel float32 `[3,3,3,out]`, bias `[out]`."""
    if kernel.shape != oxford.conv1_1().shape:
        return None
    found = []
    for channels in CHANNELS:
        rgb = (kernel if channels == RGB else kernel[:, :, ::-1]).astype(np.float64)
        correlation = _correlation(rgb, oxford.conv1_1())
        if correlation > _DERIVED:
            found.append(Evidence(OXFORD, channels, correlation, _scale_beside_oxfords(rgb)))
        red = rgb[:, :, 0, 0].reshape(-1)
        correlation = _correlation(red, np.array(_TORCHVISION_RED))
        biases = _correlation(bias[: len(_TORCHVISION_BIASES)], np.array(_TORCHVISION_BIASES))
        if min(correlation, biases) > _DERIVED:
            found.append(Evidence(TORCHVISION, channels, correlation, _scale_beside_torch(red)))
    return max(found, key=lambda evidence: evidence.correlation, default=None)


def decide(
    network: Network,
    kernel: Float32,
    bias: Float32,
    channels: str | None = None,
    scale: str | None = None,
) -> Decision:
    """Put together what the user, the numbers and the form say, in this order.

    Args:
        kernel: conv1_1's, as for `examine`.
        bias: likewise.
        channels: what the user says, `rgb` or `bgr`.
        scale: likewise, a name of `inputs.SCALES`.
    """
    evidence = examine(kernel, bias)
    numbers = _by_numbers(evidence, network.declared)
    taken = _as_told(numbers or network.declared, channels, scale)
    if taken is None:
        return Decision(None, "undecided", evidence)
    told = [f"--channels {channels}"] * bool(channels) + [f"--scale {scale}"] * bool(scale)
    how = [f"given with {' '.join(told)}"] if told else []
    if len(told) < 2 and evidence is not None:
        how.append(_says(evidence))
    if len(told) < 2 and (evidence is None or not (evidence.scale or scale)):
        how.append(f"declared by {network.declared_by}")
    warnings = _warnings(network, taken, evidence, numbers, bool(told))
    return Decision(taken, "; ".join(how), evidence, warnings)


def _by_numbers(evidence: Evidence | None, declared: Input | None) -> Input | None:
    """What the numbers say, with a mean that is declared for that scale; None if too little."""
    if evidence is None:
        return None
    if evidence.scale is None:
        return replace(declared, channels=evidence.channels) if declared else None
    taken = of_scale(evidence.channels, evidence.scale)
    same_divisor = declared is not None and np.allclose(declared.divisor, taken.divisor, 1e-3)
    return replace(taken, mean=declared.mean) if declared and same_divisor else taken


def _as_told(known: Input | None, channels: str | None, scale: str | None) -> Input | None:
    """What the user says, and what is known for what the user does not say."""
    channels = channels or (known.channels if known else None)
    if channels is None:
        return None
    if scale is not None:
        return of_scale(channels, scale)
    return replace(known, channels=channels) if known else None


def _warnings(
    network: Network,
    taken: Input,
    evidence: Evidence | None,
    numbers: Input | None,
    told: bool,
) -> tuple[str, ...]:
    """Where what is taken, or what the form says, is not what the numbers say."""
    if evidence is None or numbers is None:
        return ()
    if told and not _same(taken, numbers):
        return (f"{taken} is taken as you say, but {_says(evidence)}",)
    declared = network.declared
    if not told and declared and not _same(declared, numbers):
        return (
            f"{network.declared_by} stand for {declared}, but {_says(evidence)}: the numbers are "
            "followed",
        )
    return ()


def _same(one: Input, other: Input) -> bool:
    """Within a grey level of the mean: Oxford's and torchvision's are as near as that."""
    near = np.allclose(one.divisor, other.divisor, 1e-3) and np.allclose(one.mean, other.mean, 0, 1)
    return one.channels == other.channels and near


def _says(evidence: Evidence) -> str:
    scale = f", {evidence.scale} scale" if evidence.scale else ""
    return (
        f"conv1_1 says {evidence.channels.upper()}{scale} (correlation {evidence.correlation:.4f} "
        f"with {evidence.training} in that order)"
    )


def training_of(tensors: Mapping[str, Float32], evidence: Evidence | None) -> str:
    """Whose training canonical weights are, as far as the convolutions tell."""
    if evidence is None:
        return UNKNOWN
    if evidence.training == TORCHVISION:
        exact = evidence.correlation > 1 - _PRINTED
        return TORCHVISION if exact else f"fine-tuned from {TORCHVISION}"
    changed: list[str] = []
    rounded: list[str] = []
    for layer in vgg16.CONVOLUTIONS:
        kernel, bias = tensors[f"{layer}/kernel"], tensors[f"{layer}/bias"]
        if oxford.digest(kernel, bias) != oxford.digests()[layer]:
            (rounded if is_near(tensors, layer) else changed).append(layer)
    if changed:
        return f"fine-tuned from {OXFORD} ({_listed(changed)})"
    return f"{OXFORD}, but rounded ({_listed(rounded)})" if rounded else OXFORD


def is_near(tensors: Mapping[str, Float32], layer: str) -> bool:
    """Whether a convolution is Oxford's but for the rounding of its numbers."""
    found, expected = oxford.sampled(tensors[f"{layer}/kernel"]), oxford.samples(layer)
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected)) < _ROUNDED


def _listed(layers: list[str]) -> str:
    if len(layers) == len(vgg16.CONVOLUTIONS):
        return "all convolutions differ"
    return f"{', '.join(layers)} {'differs' if len(layers) == 1 else 'differ'}"


def _correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    a, b = a.reshape(-1) - a.mean(), b.reshape(-1).astype(np.float64) - b.mean()
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norms if norms and np.isfinite(norms) else 0.0


def _scale_beside_oxfords(rgb: NDArray[np.float64]) -> str | None:
    """By how much larger the kernel is than Oxford's, which takes pixels of divisor one."""
    known = oxford.conv1_1().astype(np.float64)
    slopes = (rgb * known).sum(axis=(0, 1, 3)) / np.square(known).sum(axis=(0, 1, 3))
    return _scale_of(slopes)


def _scale_beside_torch(red: NDArray[np.float64]) -> str | None:
    known = np.array(_TORCHVISION_RED)
    slope = float(red @ known / (known @ known))
    return _scale_of(slope * np.array(SCALES["torch"][1]))


def _scale_of(divisor: NDArray[np.float64]) -> str | None:
    """The scale whose pixels are divided by so much, channel by channel."""
    for name in ("caffe", "torch", "tf", "unit"):
        if (np.abs(divisor / np.array(SCALES[name][1]) - 1) < _SCALE_TOLERANCE).all():
            return name
    return None
