"""A head, and its file: one safetensors file, with what the head is for as JSON in its header.

The format (github.com/huggingface/safetensors): eight bytes with the length of a JSON header,
the header, then the numbers of one tensor after the other.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from vggfeat.errors import UsageError, VggfeatError, describe_os_error
from vggfeat.recipe import Recipe
from vggfeat.vgg16 import text
from vggfeat.whole import whole

_KEY = "vggfeat.head"
_VERSION = 1
_START = b'{"__metadata__":{"%b":' % _KEY.encode()


@dataclass(frozen=True, eq=False)
class Head:
    """A linear layer and its softmax, over features of one recipe.

    Whatever it was fitted by: the standardisation of features, and the scale that turns an SVM's
    scores into logits, are within the kernel and the bias.

    Attributes:
        kernel: float32 `[d,classes]`; rows of maps are in the order height, width, channel.
        bias: float32 `[classes]`.
        classes: their names, in the order of the columns; at least two.
        recipe: what the features are made by.
        about: how it was fitted, and how well it did; fit for JSON.
        seen: which pictures it was fitted on, as far as that is known: uint64 `[m]`, sorted, the
            first eight bytes of each file's sha256 as a big-endian number.

    Raises:
        ValueError: the parts do not belong together, or a number is not finite.
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    classes: tuple[str, ...]
    recipe: Recipe
    about: dict[str, Any] = field(default_factory=dict)
    seen: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))

    def __post_init__(self) -> None:
        width = len(self.classes)
        if self.kernel.ndim != 2 or self.kernel.shape[1] != width or self.bias.shape != (width,):
            shapes = f"{text(self.kernel.shape)} and {text(self.bias.shape)}"
            raise ValueError(f"kernel and bias are of shapes {shapes}, for {width} classes")
        if not self.kernel.dtype == self.bias.dtype == np.float32:
            raise ValueError(f"kernel and bias are {self.kernel.dtype} and {self.bias.dtype}")
        if width < 2 or len(set(self.classes)) < width:
            raise ValueError("its classes must be two or more, of different names")
        if not (np.isfinite(self.kernel).all() and np.isfinite(self.bias).all()):
            raise ValueError("it has numbers that are NaN or infinite")

    def logits(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Of features `[n,d]`, or `[n,h,w,c]` of a map, float32 or float16: float32 `[n,classes]`.

        Raises:
            UsageError: they are of another width.
        """
        flat = features.reshape(len(features), -1)
        if flat.shape[1] != len(self.kernel):
            raise UsageError(
                f"features of {flat.shape[1]:,} numbers, but the head takes {len(self.kernel):,}"
            )
        return flat.astype(np.float32, copy=False) @ self.kernel + self.bias

    def probabilities(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """The softmax of the logits: float32 `[n,classes]`. Raises UsageError as they do."""
        return softmax(self.logits(features))

    def check(self, recipe: Recipe, name: str) -> None:
        """See that features of a recipe are what the head was fitted on.

        Raises:
            VggfeatError: they are not; `name` says which they are.
        """
        if other := recipe.difference(self.recipe):
            raise VggfeatError(f"{name}: not what the head was fitted on: {other}")


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Over the last axis, without overflow."""
    grown = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=-1, keepdims=True), np.float32)


def recognise(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as a head does. Raises OSError."""
    with open(path, "rb") as file:
        return file.read(8 + len(_START))[8:] == _START


def write(head: Head, path: str | os.PathLike[str]) -> None:
    """Write the file whole or not at all; equal heads give equal bytes.

    Raises:
        VggfeatError: it cannot be written.
    """
    told = {
        "version": _VERSION,
        "classes": head.classes,
        "recipe": head.recipe.as_dict(),
        "about": head.about,
    }
    tensors: dict[str, NDArray[Any]] = {
        "bias": head.bias,
        "kernel": np.ascontiguousarray(head.kernel),
        "seen": head.seen,
    }
    # One entry of metadata: the library writes several in no particular order.
    data = save(tensors, {_KEY: json.dumps(told, sort_keys=True, allow_nan=False)})
    try:
        with whole(Path(path)) as file:
            file.write(data)
    except OSError as error:
        raise VggfeatError(f"{path}: cannot be written: {describe_os_error(error)}") from error


def read(path: str | os.PathLike[str]) -> Head:
    """Read the file of a head.

    Raises:
        VggfeatError: it cannot be read, is damaged, or is something else.
    """
    try:
        if not recognise(path):
            raise VggfeatError(
                f"{path}: no head: make one of features and labels with vggfeat head fit"
            )
        with safe_open(path, "numpy") as file:
            told = json.loads(file.metadata()[_KEY])
            kernel, bias, seen = (file.get_tensor(name) for name in ("kernel", "bias", "seen"))
    except OSError as error:
        raise VggfeatError(f"{path}: cannot be read: {describe_os_error(error)}") from error
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise _damaged(path, error) from error
    if not isinstance(told, dict) or told.get("version") != _VERSION:
        raise VggfeatError(f"{path}: a head of another version of vggfeat: fit it again")
    try:
        classes = tuple(map(str, told["classes"]))
        recipe = Recipe.from_dict(told["recipe"])
        return Head(kernel, bias, classes, recipe, dict(told["about"]), seen)
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path, error) from error


def _damaged(path: str | os.PathLike[str], error: Exception) -> VggfeatError:
    return VggfeatError(f"{path}: a damaged head ({error}): fit it again")
