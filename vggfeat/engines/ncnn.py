"""The CPU engine: Winograd convolutions of the ncnn library, then fc6 and fc7 for a whole batch.

Each worker runs the convolutions of its image on one thread, so that decoding and computing
overlap and no core waits for another. fc6 and fc7 are matrix products straight from the
memory-mapped weights, which are read once a batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from vggfeat import vgg16
from vggfeat.cores import cores
from vggfeat.engines import ncnn_net
from vggfeat.engines.blas import Blas
from vggfeat.errors import VggfeatError
from vggfeat.weights.mapped import forget

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vggfeat.weights.canonical import Weights


_ROWS_AT_ONCE = 32
_KERNEL_ROWS_HELD = 6272  # a quarter of fc6: 103 MB


class NcnnEngine:
    """VGG16 in ncnn and NumPy."""

    name = "ncnn"
    batch_size = _ROWS_AT_ONCE

    def __init__(self, weights: Weights, layer: str) -> None:
        try:
            import ncnn
        except ImportError as error:
            raise VggfeatError(
                f"ncnn cannot be loaded ({error}): pip install ncnn, or --engine tensorflow"
            ) from error
        self.version: str = ncnn.__version__
        self._ncnn = ncnn
        tensors = weights.up_to(layer)
        self._mean = tensors["mean"][:, None, None]
        self._allocators: list[tuple[Any, Any]] = []
        self._idle_allocators: list[tuple[Any, Any]] = []
        self._blas = Blas()
        # One thread computes a batch while workers fill the next one, in the time that eight
        # of them take at the least.
        self.batches_in_flight = max(1, cores() // 8)
        self._nets = ncnn_net.build(ncnn, tensors)
        for name in vgg16.CONVOLUTIONS:
            forget(tensors[f"{name}/kernel"])
        self._connected = [
            (tensors[f"{name}/kernel"], tensors[f"{name}/bias"])
            for name in vgg16.OUTPUTS[layer]
            if name in vgg16.FULLY_CONNECTED
        ]
        self.shape = weights.shape_of(layer)

    def image_stage(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 `[224,224,3]` -> pool5, float32 `[7,7,512]`."""
        planes = np.subtract(image.transpose(2, 0, 1), self._mean, order="C", dtype=np.float32)
        with self._borrowed_allocators() as allocators:
            blob = self._ncnn.Mat(planes)
            for net, output in self._nets:
                blob = _run(net, output, blob, allocators)
            pool5 = np.ascontiguousarray(np.asarray(blob).transpose(1, 2, 0))
            del blob  # before another worker takes its memory
            return pool5

    @contextlib.contextmanager
    def _borrowed_allocators(self) -> Iterator[tuple[Any, Any]]:
        """A pair that no other worker uses meanwhile: it gives each image the same memory.

        Those of ncnn's own are one pair a network, for all workers, and hold several times as
        much.
        """
        try:
            pair = self._idle_allocators.pop()
        except IndexError:
            pair = self._ncnn.UnlockedPoolAllocator(), self._ncnn.UnlockedPoolAllocator()
            self._allocators.append(pair)
        yield pair
        self._idle_allocators.append(pair)

    def padded_rows(self, rows: int, batch_size: int) -> int:
        # BLAS chooses its way by the shape, and each way has bits of its own: so there is
        # one shape only. It costs an image that is alone 30 ms, and a full batch nothing.
        return -(-rows // _ROWS_AT_ONCE) * _ROWS_AT_ONCE if self._connected else rows

    def batch_stage(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        if not self._connected:
            return batch
        flat = batch.reshape(len(batch), -1)
        blocks = [flat[at : at + _ROWS_AT_ONCE] for at in range(0, len(flat), _ROWS_AT_ONCE)]
        # BLAS threads that wait for a core which a worker has burn it waiting.
        workers_are_busy = len(self._idle_allocators) < len(self._allocators)
        with self._blas.limited(1 if workers_are_busy else self._blas.threads):
            return np.concatenate([self._fully_connected(block) for block in blocks])

    def _fully_connected(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        for kernel, bias in self._connected:
            x = _product(x, kernel)
            x += bias
            np.maximum(x, 0, out=x)
        return x


def _run(net: Any, output: str, blob: Any, allocators: tuple[Any, Any]) -> Any:
    extractor = net.create_extractor()
    extractor.set_blob_allocator(allocators[0])
    extractor.set_workspace_allocator(allocators[1])
    extractor.input(ncnn_net.INPUT, blob)
    code, result = extractor.extract(output)
    if code:
        raise VggfeatError("ncnn could not compute an image: out of memory")
    return result


def _product(x: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """`x @ kernel`, so that no more than a part of the mapped kernel is held at a time."""
    total = np.zeros((len(x), kernel.shape[1]), np.float32)
    for begin in range(0, len(kernel), _KERNEL_ROWS_HELD):
        part = kernel[begin : begin + _KERNEL_ROWS_HELD]
        total += x[:, begin : begin + _KERNEL_ROWS_HELD] @ part
        forget(part)
    return total
