"""What computes the features: one file an engine, and the table that chooses among them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from vggfeat import vgg16
from vggfeat.engines import gpu
from vggfeat.engines import precision as precisions
from vggfeat.engines.devices import ALL, numbers
from vggfeat.errors import UsageError, WeightsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vggfeat.activations import Activation
    from vggfeat.engines.dealing import Note
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
    batches_together: int  # how many may be written as one: several where it outruns a disk

    @property
    def devices(self) -> tuple[str, ...]:
        """What it computes on, in words."""

    def image_stage(self, image: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        """uint8 `[size,size,3]` RGB -> some arrays."""

    def batch_stage(self, batch: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """The arrays of `image_stage`, each stacked to `[n, ...]` -> float32 `[n, *shape]` each.

        No bit of a row depends on the others, or on how many there are.
        """


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


def auto(
    precision: str = precisions.FLOAT32,
    devices: str | Sequence[int] = ALL,
    before: str | None = None,
) -> str:
    """The name of the best engine here: TensorFlow on a GPU, else ncnn where it is installed.

    Only TensorFlow computes in other numbers than float32, or on devices that are asked for.

    Args:
        before: what computed the rows that are there. It goes on: they would have to be computed
            anew by another engine, whenever a GPU comes or its driver fails.
    """
    if precision != precisions.FLOAT32 or numbers(devices) is not None:
        return "tensorflow"
    if before in installed():
        return before
    return "tensorflow" if gpu.usable() or "ncnn" not in installed() else "ncnn"


def installed() -> list[str]:
    """The names of the engines that can be made here. ncnn is not built for every machine."""
    return [name for name in NAMES if name != "auto" and importlib.util.find_spec(name)]


def resolve(
    name: str,
    weights: Weights,
    activations: Sequence[Activation],
    size: int = vgg16.SIZE,
    *,
    precision: str = precisions.FLOAT32,
    devices: str | Sequence[int] = ALL,
    before: str | None = None,
) -> str:
    """The engine that a name stands for, `auto` too, where it can compute what is asked for.

    Args:
        before: see `auto`.

    Raises:
        UsageError: there is no such engine or precision, or not here, or `check_reaches` raises it.
        WeightsError: layers are missing from the weights.
    """
    check_reaches(weights, activations, size)
    if name not in NAMES:
        raise UsageError(f"no engine {name!r}; there are {', '.join(NAMES)}")
    chosen = auto(precision, devices, before) if name == "auto" else name
    precisions.check(precision, chosen, devices)
    if chosen == "ncnn" and numbers(devices) is not None:
        raise UsageError("ncnn computes on the processors: --devices is for --engine tensorflow")
    return chosen


def create(
    name: str,
    weights: Weights,
    activations: Sequence[Activation],
    size: int = vgg16.SIZE,
    *,
    precision: str = precisions.FLOAT32,
    devices: str | Sequence[int] = ALL,
    batch_size: int | None = None,
    note: Note = lambda text: None,
) -> Engine:
    """Make the engine of that name ready for images of one size.

    Args:
        precision: one of `precision.NAMES`.
        devices: `all`, or the numbers of GPUs.
        batch_size: images that a GPU computes at once; None for what suits its memory.
        note: told a user what should be known, as that a GPU fails and others go on.

    Raises:
        VggfeatError: it cannot be loaded, or `resolve` raises it.
    """
    chosen = resolve(name, weights, activations, size, precision=precision, devices=devices)
    if chosen == "ncnn":
        from vggfeat.engines.ncnn import NcnnEngine

        return NcnnEngine(weights, activations, size)
    from vggfeat.engines.tensorflow import TensorFlowEngine

    return TensorFlowEngine(
        weights, activations, size,
        precision=precision, devices=devices, batch_size=batch_size, note=note,
    )  # fmt: skip
