"""What computes the features: one file an engine, and the table that chooses among them."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, Protocol

from vggfeat import vgg16
from vggfeat.engines import gpu
from vggfeat.errors import UsageError, WeightsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vggfeat.weights.canonical import Weights

NAMES = ("auto", "ncnn", "tensorflow")


class Engine(Protocol):
    """A network that is ready to run, up to one layer.

    The work is cut in two. `image_stage` is what is done to one image, called in the worker
    threads right after decoding; `batch_stage` what is done to a batch of its results.
    """

    name: str
    version: str
    shape: tuple[int, ...]  # of one image's features
    batch_size: int  # that serves it best
    batches_in_flight: int  # how many calls of `batch_stage` may run side by side

    def image_stage(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """uint8 `[224,224,3]` RGB -> one array."""

    def padded_rows(self, rows: int, batch_size: int) -> int:
        """How many rows a batch of `rows` is to be padded to, for bits that do not depend on it."""

    def batch_stage(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """`[n, ...]` stacked results of `image_stage` -> float32 `[n, *shape]`."""


def check_reaches(weights: Weights, layer: str) -> None:
    """See that a layer is known and that the weights reach up to it.

    Raises:
        UsageError: there is no such layer.
        WeightsError: layers are missing from the weights.
    """
    if layer not in vgg16.OUTPUTS:
        raise UsageError(f"no layer {layer!r}; there are {', '.join(vgg16.OUTPUTS)}")
    lacking = [part for part in vgg16.OUTPUTS[layer] if part not in weights.layers]
    if lacking:
        raise WeightsError(
            f"{layer} cannot be computed: the weights ({weights.source}) hold no "
            f"{' and no '.join(lacking)}; ask for --layer {_highest(weights)}, or give a file with "
            "the fully connected layers, such as Keras' without 'notop' in its name "
            "(vggfeat weights download)"
        )


def _highest(weights: Weights) -> str:
    """The last output that weights reach up to: pool5 at the least."""
    reached = [name for name, parts in vgg16.OUTPUTS.items() if set(parts) <= set(weights.layers)]
    return reached[-1]


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


def resolve(name: str, weights: Weights, layer: str) -> str:
    """The engine that a name stands for, `auto` too, where it can compute the layer.

    Raises:
        UsageError: there is no such engine or layer.
        WeightsError: layers are missing from the weights.
    """
    check_reaches(weights, layer)
    if name not in NAMES:
        raise UsageError(f"no engine {name!r}; there are {', '.join(NAMES)}")
    return auto() if name == "auto" else name


def create(name: str, weights: Weights, layer: str) -> Engine:
    """Make the engine of that name ready for one layer.

    Raises:
        VggfeatError: it cannot be loaded, or `resolve` raises it.
    """
    if resolve(name, weights, layer) == "ncnn":
        from vggfeat.engines.ncnn import NcnnEngine

        return NcnnEngine(weights, layer)
    from vggfeat.engines.tensorflow import TensorFlowEngine

    return TensorFlowEngine(weights, layer)
