"""What conv1_1 takes, and whose training it is: told by the user, its numbers, or its form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vggfeat import vgg16
from vggfeat.inputs import Input, of_scale
from vggfeat.weights import oxford
from vggfeat.weights.evidence import OXFORD, TORCHVISION, Evidence, examine
from vggfeat.weights.layers import Network
from vggfeat.weights.origin import UNKNOWN

Float32 = NDArray[np.float32]

_ROUNDED = 5e-3  # the most that bfloat16 or a division moves numbers, relative to their norm


@dataclass(frozen=True)
class Decision:
    """What conv1_1 takes. Without `taken` neither form nor numbers decide."""

    taken: Input | None
    how: str
    evidence: Evidence | None
    warnings: tuple[str, ...] = ()


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
    found = evidence.channels if evidence else None
    taken = _as_told(numbers or network.declared, channels or found, scale)
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
    if evidence is None:
        return ()
    agrees = taken.channels == evidence.channels if numbers is None else _same(taken, numbers)
    if told and not agrees:
        return (f"{taken} is taken as you say, but {_says(evidence)}",)
    declared = network.declared
    if not told and declared and numbers and not _same(declared, numbers):
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
    """Whose training canonical weights are.

    Of Oxford's all convolutions are known; of torchvision's no more than some of conv1_1, which
    many who fine-tune leave as it is.
    """
    if evidence is None:
        return UNKNOWN
    if evidence.training == TORCHVISION:
        told = f"{TORCHVISION}, as far as conv1_1 tells"
        return told if evidence.is_exact else f"fine-tuned from {TORCHVISION}"
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
