"""Images are decoded by tasks on the processors of the cluster, for an actor that has a GPU."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from vggfeat import apart
from vggfeat.cores import cores
from vggfeat.pace import Pace
from vggfeat.preparing import Decoded, Decoding, too_long
from vggfeat.ray.quiet import package
from vggfeat.reading import BeingRead, Reading
from vggfeat.suspects import Suspects
from vggfeat.workers import Workers

if TYPE_CHECKING:
    from concurrent.futures import Future

    from vggfeat.outcome import Failure
    from vggfeat.preprocess import Preprocessing
    from vggfeat.sources import ImageRef

MOST_CALLS = 64
PATIENCE = 60.0  # seconds, for a task to begin and end
_REST = 600.0  # seconds, in which none is tried after one has not begun
_IMAGES = 32
_BYTES = _IMAGES * 224 * 224 * 3  # of the pixels of a task
_RETRIES = 2  # of a task whose process or node dies


class Decoders:
    """See `preparing.Elsewhere`.

    Where the cluster has no processor to give, this process decodes.

    Args:
        preprocessing: how images become pixels.
        calls: tasks at once.
        folder: what relative names of images start from.
        patience: seconds that are waited for a task.
    """

    def __init__(
        self, preprocessing: Preprocessing, calls: int, folder: str, patience: float = PATIENCE
    ) -> None:
        self.images = max(1, min(_IMAGES, _BYTES // (preprocessing.size**2 * 3)))
        self.calls = min(calls, MOST_CALLS)
        self._preprocessing = preprocessing
        self._folder = folder
        self._patience = patience
        self._not_before = 0.0
        self._ray = ray = package()
        self._task = ray.remote(num_cpus=1, max_retries=_RETRIES)(decode)

    def __call__(self, images: Sequence[ImageRef]) -> Sequence[Decoded | Failure]:
        here = _decoder(self._preprocessing, cores())
        if time.monotonic() < self._not_before:
            return here(images)
        task = self._task.remote(images, self._preprocessing, self._folder)
        done, _ = self._ray.wait([task], timeout=self._patience)
        if not done:
            self._not_before = time.monotonic() + _REST
            self._ray.cancel(task)
            return here(images)
        try:
            found: Sequence[Decoded | Failure] = self._ray.get(task)
        except self._ray.exceptions.RayTaskError:
            raise
        except self._ray.exceptions.RayError:  # its process died each time: perhaps by an image
            suspects = Suspects(None)
            suspects.names = frozenset(image.name for image in images)
            return _Decoder(self._preprocessing, 1, suspects)(images)
        return found


def decode(
    images: Sequence[ImageRef], preprocessing: Preprocessing, folder: str
) -> list[Decoded | Failure]:
    """The task."""
    with contextlib.suppress(OSError):
        os.chdir(folder)
    return _decoder(preprocessing, 1)(images)


class _Decoder:
    """Reads ahead where storage is slow, and gives up what does not end, as a local run does."""

    def __init__(self, preprocessing: Preprocessing, threads: int, suspects: Suspects) -> None:
        self._reading = Reading(threads)
        self._workers = Workers(threads, limit=apart.SECONDS, name="decoder")
        nothing: tuple[str, ...] = ()  # is known, but all is to be told by its content
        self._decode = Decoding(
            self._reading, preprocessing, lambda image: nothing, suspects, Pace()
        )

    def __call__(self, images: Sequence[ImageRef]) -> list[Decoded | Failure]:
        futures = [self._reading.start(image, self._submit) for image in images]
        return [future.result() for future in futures]

    def _submit(self, being_read: BeingRead) -> Future[Any]:
        return self._workers.submit(self._decode, being_read, too_long)


@lru_cache(maxsize=8)
def _decoder(preprocessing: Preprocessing, threads: int) -> _Decoder:
    """One for all tasks of a process, which has found out how slow the storage is."""
    return _Decoder(preprocessing, threads, Suspects(None))
