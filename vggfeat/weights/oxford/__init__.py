"""Oxford's network, as far as it takes to recognise it: see LICENSE.md beside this file."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

_HERE = Path(__file__).parent
SAMPLES = 256

Float32 = NDArray[np.float32]


@cache
def conv1_1() -> Float32:
    """The first kernel, RGB: float32 `[3,3,3,64]`."""
    return _tensor("conv1_1/kernel")


@cache
def samples(layer: str) -> Float32:
    """What `sampled` gives of a convolution's kernel: float32 `[256]`."""
    return _tensor(f"{layer}/samples")


@cache
def photographs() -> dict[str, tuple[NDArray[np.uint8], Float32]]:
    """By sample photograph, what `sampled` gives of its crop, and its pool5, averaged.

    Pixels uint8 `[256]` by plain arithmetic; pool5 float32 `[512]` by Keras.
    """
    with safe_open(_HERE / "photographs.safetensors", "numpy") as file:
        names = sorted({key.rpartition("/")[0] for key in file.keys()})  # noqa: SIM118
        return {
            name: (file.get_tensor(f"{name}/pixels"), file.get_tensor(f"{name}/pool5"))
            for name in names
        }


@cache
def digests() -> dict[str, str]:
    """By convolution, what `digest` gives of it."""
    with safe_open(_HERE / "convolutions.safetensors", "numpy") as file:
        return dict(json.loads(file.metadata()["digests"]))


@cache
def pieces() -> tuple[str, ...]:
    """The hash of each 4 MiB of the whole network, in the order that `identity` tells."""
    lines = (_HERE / "pieces.sha1").read_text("ascii").splitlines()
    return tuple(line for line in lines if not line.startswith("#"))


def sampled(array: NDArray[Any]) -> NDArray[Any]:
    """Evenly spaced numbers of a canonical kernel, or of a crop."""
    places = np.linspace(0, array.size - 1, SAMPLES).astype(int)
    return np.take(array, places)


def digest(kernel: Float32, bias: Float32) -> str:
    """sha256 of a convolution in canonical form: little-endian kernel, then bias."""
    hashed = hashlib.sha256(np.ascontiguousarray(kernel, "<f4").data)
    hashed.update(np.ascontiguousarray(bias, "<f4").data)
    return hashed.hexdigest()


def _tensor(name: str) -> Float32:
    with safe_open(_HERE / "convolutions.safetensors", "numpy") as file:
        array: Float32 = file.get_tensor(name)
        return array
