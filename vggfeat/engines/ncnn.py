"""The CPU engine: Winograd convolutions of the ncnn library, then fc6 and fc7 for a whole batch.

Each worker runs the convolutions of its image on one thread, so that decoding and computing
overlap and no core waits for another. fc6 and fc7 are matrix products straight from the
memory-mapped weights, which are read once a batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vggfeat.activations import AVG, FLAT, MAX, Activation
from vggfeat.cores import cores
from vggfeat.engines import ncnn_block, ncnn_net
from vggfeat.engines.batches import fitting
from vggfeat.engines.blas import Blas
from vggfeat.engines.connected import ROWS_AT_ONCE, Connected
from vggfeat.errors import VggfeatError
from vggfeat.vgg16 import CONVOLUTIONS, SIZE
from vggfeat.weights.mapped import forget

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vggfeat.weights.canonical import Float32, Weights

_POOL5 = Activation("pool5")
_Allocators = tuple[Any, Any]


class NcnnEngine:
    """VGG16 in ncnn and NumPy."""

    name = "ncnn"
    devices = ("CPU",)
    batches_together = 1

    def __init__(
        self, weights: Weights, activations: Sequence[Activation], size: int = SIZE
    ) -> None:
        try:
            import ncnn
        except ImportError as error:
            raise VggfeatError(
                f"ncnn cannot be loaded ({error}): pip install ncnn, or --engine tensorflow"
            ) from error
        self.version: str = ncnn.__version__
        self._ncnn = ncnn
        tensors = weights.up_to(activations)
        self._mean = tensors["mean"][:, None, None]
        self._allocators: list[_Allocators] = []
        self._idle_allocators: list[_Allocators] = []
        self._blas = Blas()
        # One thread computes a batch while workers fill the next one, in the time that eight
        # of them take at the least.
        self.batches_in_flight = max(1, cores() // 8)
        self._activations = tuple(activations)
        self._connected = Connected(tensors, activations)
        # What `image_stage` gives: the maps asked for, and pool5 for the layers above it.
        self._maps = [activation for activation in activations if activation.is_map]
        self._maps += [_POOL5] if self._connected else []
        self._nets = ncnn_net.build(ncnn, tensors, {part.unpooled for part in self._maps}, size)
        for name in CONVOLUTIONS:
            if (kernel := tensors.get(f"{name}/kernel")) is not None:
                forget(kernel)
        width_of = weights.width_of
        self.shapes = tuple(activation.shape(width_of, size) for activation in activations)
        held = [activation.shape(width_of, size) for activation in self._maps]
        self.batch_size = fitting(ROWS_AT_ONCE, held)

    def image_stage(self, image: NDArray[np.uint8]) -> tuple[Float32, ...]:
        """uint8 `[size,size,3]` -> the maps asked for, pooled, and pool5 for what is above it."""
        planes = np.subtract(image.transpose(2, 0, 1), self._mean, order="C", dtype=np.float32)
        with self._borrowed_allocators() as allocators:
            return self._convolved(planes, allocators)

    def _convolved(self, planes: Float32, allocators: _Allocators) -> tuple[Float32, ...]:
        """Each map is copied, so that no memory is in use that another worker takes next."""
        # A copy, because ncnn takes the planes of a map to begin at multiples of 16 bytes.
        blob = self._ncnn.Mat(planes).clone()
        strips: dict[Activation, list[Any]] = {}
        for net, taps, output in self._nets:
            extractor = net.create_extractor()
            extractor.set_blob_allocator(allocators[0])
            extractor.set_workspace_allocator(allocators[1])
            extractor.input(ncnn_block.INPUT, blob)
            for activation, name, rows in taps:
                strip = np.asarray(_extracted(extractor, name))[:, rows]
                strips.setdefault(activation, []).append(strip)
            if net is not self._nets[-1].net:
                blob = _extracted(extractor, output)
        return tuple(_pooled(strips[part.unpooled], part.pooling) for part in self._maps)

    @contextlib.contextmanager
    def _borrowed_allocators(self) -> Iterator[_Allocators]:
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

    def batch_stage(self, batch: Sequence[NDArray[Any]]) -> list[Float32]:
        maps = iter(batch)
        vectors = iter(self._vectors(batch[-1]) if self._connected else ())
        return [next(maps if part.is_map else vectors) for part in self._activations]

    def _vectors(self, pool5: Float32) -> list[Float32]:
        # BLAS threads that wait for a core which a worker has burn it waiting.
        workers_are_busy = len(self._idle_allocators) < len(self._allocators)
        with self._blas.limited(1 if workers_are_busy else self._blas.threads):
            return self._connected(pool5, [part for part in self._activations if not part.is_map])


def _extracted(extractor: Any, name: str) -> Any:
    code, blob = extractor.extract(name)
    if code:
        raise VggfeatError("ncnn could not compute an image: out of memory")
    return blob


def _pooled(strips: list[Float32], pooling: str) -> Float32:
    """Strips of a map, `[c,rows,w]`, one below the other -> `[h,w,c]`, `[h*w*c]` or `[c]`."""
    channels, _, columns = strips[0].shape
    rows = sum(strip.shape[1] for strip in strips)
    if pooling == AVG:
        sums = [strip.sum(axis=(1, 2), dtype=np.float64) for strip in strips]
        return np.asarray(sum(sums) / (rows * columns), np.float32)
    if pooling == MAX:
        highest = [strip.max(axis=(1, 2)) for strip in strips]
        return np.asarray(np.max(highest, axis=0))
    whole = np.empty((rows, columns, channels), np.float32)
    np.concatenate([strip.transpose(1, 2, 0) for strip in strips], out=whole)
    return np.ravel(whole) if pooling == FLAT else whole
