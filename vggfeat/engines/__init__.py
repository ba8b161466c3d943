"""What computes the features: one file an engine, and the table that chooses among them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from vggfeat import vgg16
from vggfeat.engines import gpu
from vggfeat.errors import UsageError, WeightsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vggfeat.activations import Activation
    from vggfeat.weights.canonical import Weights

NAMES = ("auto", "ncnn", "tensorflow")


class Engine(Protocol):
    """A network that is ready to run, up to the highest of the activations asked for.

    The work is cut in two. `image_stage` is what is done to one image, called in the worker
    threads right after decoding; `batch_stage` what is done to a batch of its results.
    """

    name: str
    version: str
    shapes: tuple[tuple[int, ...], ...]  # of one image's features, for each activation
    batch_size: int  # that serves it best
    batches_in_flight: int  # how many calls of `batch_stage` may run side by side

    def image_stage(self, image: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        """uint8 `[size,size,3]` RGB -> some arrays."""

    def padded_rows(self, rows: int, batch_size: int) -> int:
        """How many rows a batch of `rows` is to be padded to, for bits that do not depend on it."""

    def batch_stage(self, batch: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """The arrays of `image_stage`, each stacked to `[n, ...]` -> float32 `[n, *shape]` each."""


def check_reaches(
    weights: Weights, activations: Sequence[Activation], size: int = vgg16.SIZE
) -> None:
    """See that the weights and the images reach up to all activations.

    Raises:
        UsageError: images of this size are too small for the fully connected layers.
        WeightsError: layers are missing from the weights.
    """
    for activation in activations:
        lacking = [part for part in activation.parts if part not in weights.layers]
        if lacking:
            raise WeightsError(
                f"{activation.layer} cannot be computed: the weights ({weights.source}) hold no "
                f"{' and no '.join(lacking)}; ask for --layer "
                f"{vgg16.last_output(weights.layers)}, or give a file with the fully connected "
                "layers, such as Keras' without 'notop' in its name (vggfeat weights download)"
            )
        if not activation.is_map and size < vgg16.SIZE:
            raise UsageError(
                f"{activation.layer} takes images of {vgg16.SIZE} pixels at the least, not {size}: "
                "ask for --layer pool5:avg, or a larger --size"
            )


def auto() -> str:
    """The name of the best engine here: TensorFlow on a GPU, else ncnn where it is installed."""
    return "tensorflow" if gpu.usable() or "ncnn" not in installed() else "ncnn"


def is_best(name: str) -> bool:
    """False where TensorFlow computes on a CPU."""
    return name == "ncnn" or gpu.usable()


def installed() -> list[str]:
    """The names of the engines that can be made here. ncnn is not built for every machine."""
    without = () if importlib.util.find_spec("ncnn") else ("ncnn",)
    return [name for name in NAMES if name not in ("auto", *without)]


def resolve(
    name: str, weights: Weights, activations: Sequence[Activation], size: int = vgg16.SIZE
) -> str:
    """The engine that a name stands for, `auto` too, where it can compute the activations.

    Raises:
        UsageError: there is no such engine, or `check_reaches` raises it.
        WeightsError: layers are missing from the weights.
    """
    check_reaches(weights, activations, size)
    if name not in NAMES:
        raise UsageError(f"no engine {name!r}; there are {', '.join(NAMES)}")
    return auto() if name == "auto" else name


def create(
    name: str, weights: Weights, activations: Sequence[Activation], size: int = vgg16.SIZE
) -> Engine:
    """Make the engine of that name ready for images of one size.

    Raises:
        VggfeatError: it cannot be loaded, or `resolve` raises it.
    """
    if resolve(name, weights, activations, size) == "ncnn":
        from vggfeat.engines.ncnn import NcnnEngine

        return NcnnEngine(weights, activations, size)
    from vggfeat.engines.tensorflow import TensorFlowEngine

    return TensorFlowEngine(weights, activations, size)
