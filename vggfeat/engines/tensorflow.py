"""The TensorFlow engine: whole batches, on all GPUs where there are some."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vggfeat.engines import devices as all_devices
from vggfeat.engines import precision as precisions
from vggfeat.engines import tf32
from vggfeat.engines.batches import BATCHES_AT_ONCE, fitting, on_card
from vggfeat.engines.dealing import Dealer, DeviceError, Note
from vggfeat.engines.graph import Arithmetic
from vggfeat.engines.replica import Compilation, Replica
from vggfeat.errors import VggfeatError
from vggfeat.quiet_tensorflow import tensorflow
from vggfeat.vgg16 import SIZE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vggfeat.activations import Activation
    from vggfeat.engines.devices import Device
    from vggfeat.weights.canonical import Weights

_BATCH_ON_PROCESSORS = 16  # images of 224 pixels
_TOGETHER = 1024  # images


class TensorFlowEngine:
    """VGG16 on every device, each with a copy of the weights.

    Args:
        weights: those that take part are loaded.
        activations: what to compute.
        size: of the images, in pixels.
        precision: see `precision.NAMES`.
        devices: `all`, or numbers of GPUs as `--devices` takes them.
        batch_size: images that a device computes at once; None for what suits its memory.
        compilation: how the graph is compiled; None for what suits device and precision.
        note: told a user what should be known.

    Raises:
        UsageError: there are no such devices, or GPUs have computed in float32 or tf32 before, and
            now it is the other one.
        VggfeatError: TensorFlow is not here, or no device can hold the weights.
    """

    name = "tensorflow"

    def __init__(
        self,
        weights: Weights,
        activations: Sequence[Activation],
        size: int = SIZE,
        *,
        precision: str = precisions.FLOAT32,
        devices: str | Sequence[int] = all_devices.ALL,
        batch_size: int | None = None,
        compilation: Compilation | None = None,
        note: Note = lambda text: None,
    ) -> None:
        # cuDNN's first choice, not the fastest of a trial, which may be another one in the next
        # run: so a card gives the same bits each time. Who wants the trial sets it to 1. XLA makes
        # trials of its own all the same.
        os.environ.setdefault("TF_CUDNN_USE_AUTOTUNE", "0")
        tf = self._tf = tensorflow()
        self.version: str = tf.__version__
        self.shapes = tuple(part.shape(weights.width_of, size) for part in activations)
        self._precision = precision
        arithmetic = _arithmetic(tf, precision)
        tensors = weights.up_to(activations)
        taking_part = {layer for part in activations for layer in part.parts}
        width_of = {
            layer: width for layer, width in weights.width_of.items() if layer in taking_part
        }

        def batch_on(device: Device) -> int:
            most = (
                on_card(device.free, width_of, size, arithmetic.dtype.size)
                if device.is_gpu
                else max(1, _BATCH_ON_PROCESSORS * SIZE**2 // max(size, SIZE) ** 2)
            )
            return fitting(most, self.shapes)

        def replica(device: Device) -> Replica:
            return Replica(
                tf,
                device,
                tensors,
                activations,
                size,
                batch_size=batch_size or batch_on(device),
                arithmetic=arithmetic,
                compilation=compilation or _compilation(device, precision),
                note=note,
            )

        found = all_devices.prepared(tf, devices)
        if found[0].is_gpu:
            tf32.claim(precision)
        held = _held(found, replica, note)
        at_once = BATCHES_AT_ONCE if found[0].is_gpu else 1
        self._dealer = Dealer(held, at_once, note)
        self.batch_size = max(replica.batch_size for replica in held)
        self.batches_in_flight = at_once * len(held)
        # A disk takes its milliseconds for one as for several.
        self.batches_together = max(1, _TOGETHER // self.batch_size) if found[0].is_gpu else 1

    @property
    def devices(self) -> tuple[str, ...]:
        """The labels of those that have not failed."""
        return tuple(device.label for device in self._dealer.left)

    def image_stage(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8]]:
        return (image,)

    def batch_stage(self, batch: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        (images,) = batch
        tf32.switch(self._tf, self._precision)  # another program may have set it
        return self._dealer.compute(images)


def _held(
    devices: Sequence[Device], replica: Callable[[Device], Replica], note: Note
) -> list[Replica]:
    """On all devices that can hold the weights; one at least, or VggfeatError."""
    held = []
    for device in devices:
        try:
            held.append(replica(device))
        except DeviceError as error:
            note(f"{device.label} cannot hold the weights ({error}): it is left out")
    if not held:
        raise VggfeatError(
            "no device can hold the weights: end other programs, or take --engine ncnn; "
            "`vggfeat doctor` looks into it"
        )
    return held


def _arithmetic(tf: Any, precision: str) -> Arithmetic:
    if precision == precisions.BFLOAT16:
        return Arithmetic(tf, tf.bfloat16)
    if precision == precisions.FLOAT16:
        # Photographs reach 14,000 in Oxford's conv3 and float16 65,504: a sixteenth leaves room,
        # and what is too small for it then, 0.001, is nothing beside activations of 100.
        return Arithmetic(tf, tf.float16, 1 / 16)
    return Arithmetic(tf, tf.float32)


def _compilation(device: Device, precision: str) -> Compilation:
    """XLA where tensor cores compute 16 bits.

    There the arithmetic takes no longer than bias and ReLU, each of which would read and write
    13.5 million activations an image by itself.
    """
    fast = precision in (precisions.BFLOAT16, precisions.FLOAT16)
    return Compilation(xla=device.is_gpu and fast)
