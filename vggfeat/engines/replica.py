"""The network on one device of TensorFlow, with weights of its own there."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vggfeat.engines import graph
from vggfeat.engines.dealing import DeviceError, Note, OutOfMemoryError
from vggfeat.engines.devices import Device, reason
from vggfeat.engines.graph import Arithmetic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vggfeat.activations import Activation
    from vggfeat.weights.canonical import Float32


# CUDA's libraries and XLA take memory beside TensorFlow's, and tell of it in errors of their own.
_MEMORY_IS_FULL = re.compile(
    r"RESOURCE_EXHAUSTED|out of memory|ERROR_OUT_OF_MEMORY|STATUS_ALLOC_FAILED|failed to allocate",
    re.IGNORECASE,
)


class Compilation(NamedTuple):
    """How the graph becomes a program.

    Attributes:
        xla: by XLA, which puts bias and ReLU into the convolutions; else operation by operation.
        channels_first: maps are `[n,c,h,w]` on the device.
    """

    xla: bool = False
    channels_first: bool = False


class Replica:
    """VGG16 as one TensorFlow function on one device.

    The weights stay outside the graph, as tensors it captures. As constants inside, the
    graph optimizer folds and copies half a GB of them before the first batch (45 s and 8 GB
    on two cores, against 3 s and under 3 GB).

    Args:
        tensors: of the layers that take part.
        activations: what to compute.
        size: of the images, in pixels.
        batch_size: images computed at once.
        note: told a user what should be known.

    Raises:
        DeviceError: the device cannot hold the weights.
    """

    def __init__(
        self,
        tf: Any,
        device: Device,
        tensors: Mapping[str, Float32],
        activations: Sequence[Activation],
        size: int,
        *,
        batch_size: int,
        arithmetic: Arithmetic,
        compilation: Compilation,
        note: Note,
    ) -> None:
        self.label = device.label
        self.batch_size = batch_size
        self._tf = tf
        self._device = device
        self._activations = activations
        self._size = size
        self._arithmetic = arithmetic
        self._compilation = compilation
        self._note = note
        self._lock = threading.Lock()
        self._programs: dict[int | None, Any] = {}
        self._has_computed = False
        with self._device_errors(), tf.device(device.name):
            self._held = {name: arithmetic.held(name, array) for name, array in tensors.items()}

    def compute(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """uint8 `[n,size,size,3]`, at most a batch -> float32 `[n,*shape]` of each activation.

        Raises:
            OutOfMemoryError: the batch is too large for the device.
            DeviceError: it failed otherwise.
        """
        compiled = self._compilation
        try:
            return self._computed(images)
        except OutOfMemoryError:
            raise
        except DeviceError as error:
            if not self._gave_up_xla(compiled, error):
                raise
        return self._computed(images)

    def _computed(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        rows = len(images)
        shape = self._shape()
        if shape and rows > shape:  # another thread has found it too large meanwhile
            raise OutOfMemoryError("out of memory")
        # On processors the rows of every batch from two up have the same bits (measured); a
        # GPU's library chooses its algorithms by the shape of the batch.
        padded = _padded(images, shape or max(rows, 2))
        with self._device_errors(), self._tf.device(self._device.name):
            found = self._program(shape)(self._tf.constant(padded))
            features = [part.numpy()[:rows] for part in found]
        self._has_computed = True
        return features

    def _shape(self) -> int | None:
        """How many images there are in every batch; None for any number."""
        fixed = self._device.is_gpu or self._compilation.xla
        return self.batch_size if fixed else None

    def _program(self, shape: int | None) -> Any:
        with self._lock:
            if shape not in self._programs:
                self._programs[shape] = self._traced(shape)
            return self._programs[shape]

    def _traced(self, shape: int | None) -> Any:
        tf = self._tf
        signature = [tf.TensorSpec([shape, self._size, self._size, 3], tf.uint8)]

        @tf.function(input_signature=signature, jit_compile=self._compilation.xla)  # type: ignore[untyped-decorator]
        def network(images: Any) -> Any:
            with tf.device(self._device.name):
                return graph.features(
                    images,
                    self._held.__getitem__,
                    self._activations,
                    self._arithmetic,
                    channels_first=self._compilation.channels_first,
                )

        return network.get_concrete_function()

    def _gave_up_xla(self, compiled: Compilation, error: DeviceError) -> bool:
        """Whether another try without XLA is worth it: some machines lack what it takes.

        Args:
            compiled: how it was when the batch began, which failed.
        """
        with self._lock:
            if self._compilation != compiled:  # another thread has met the same
                return True
            if self._has_computed or not compiled.xla:
                return False
            self._compilation = self._compilation._replace(xla=False)
            self._programs.clear()
        self._note(f"{self.label}: XLA cannot compile the network ({error}); goes on without it")
        return True

    @contextlib.contextmanager
    def _device_errors(self) -> Iterator[None]:
        errors = self._tf.errors
        try:
            yield
        except errors.ResourceExhaustedError as error:
            raise OutOfMemoryError("out of memory") from error
        except errors.OpError as error:
            if _MEMORY_IS_FULL.search(error.message):
                raise OutOfMemoryError("out of memory") from error
            raise DeviceError(reason(error.message)) from error


def _padded(images: NDArray[np.uint8], rows: int) -> NDArray[np.uint8]:
    """The last image again, as often as it takes."""
    missing = rows - len(images)
    return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images
