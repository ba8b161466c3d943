"""The main loop: images in, outcomes out, in the same order.

    images -> worker threads: read, preprocess, engine.image_stage -> engine.batch_stage

Decoding and computing overlap because each stage looks ahead a bounded number of items, so
memory does not grow with the number of images. A failed image is a value that travels in its
place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from vggfeat.cores import cores
from vggfeat.errors import ImageError, UsageError, VggfeatError, describe_os_error
from vggfeat.outcome import Failure, Outcome, Row

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vggfeat.engines import Engine
    from vggfeat.preprocess import Preprocessing
    from vggfeat.sources import ImageRef

A = TypeVar("A")
B = TypeVar("B")


class Prepared(NamedTuple):
    """An image that is ready for its batch."""

    name: str
    size: int
    mtime_ns: int
    array: NDArray[Any]


def run(
    images: Iterable[ImageRef],
    preprocessing: Preprocessing,
    engine: Engine,
    batch_size: int | None = None,
    workers: int | None = None,
) -> Generator[list[Outcome], None, None]:
    """Outcomes of all images, a batch at a time: one each, in the order of the images.

    Args:
        images: what to read.
        preprocessing: how they become what the network sees.
        engine: what computes the features.
        batch_size: images in a batch; None for what serves the engine best.
        workers: threads that read, decode and run the engine's image stage; None for as many
            as there are processors to use.

    Raises:
        VggfeatError: the engine cannot go on. What is wrong with an image is an outcome.
    """

    batch_size = batch_size or engine.batch_size
    workers = workers or cores()

    def prepare(image: ImageRef) -> Prepared | Failure:
        return _prepare(image, preprocessing, engine)

    def compute(batch: list[Prepared | Failure]) -> list[Outcome]:
        return _compute(batch, engine, batch_size)

    preparing = ThreadPoolExecutor(workers, "worker")
    computing = ThreadPoolExecutor(engine.batches_in_flight, "batch")
    try:
        prepared = _in_order(preparing, prepare, images, ahead=max(batch_size, 2 * workers))
        batches = _grouped(prepared, batch_size)
        yield from _in_order(computing, compute, batches, ahead=engine.batches_in_flight)
    finally:
        preparing.shutdown(wait=False, cancel_futures=True)
        computing.shutdown(wait=False, cancel_futures=True)


def check_counts(batch_size: int | None, workers: int | None) -> None:
    """Raise UsageError where either is less than one."""
    for what, count in (("a batch of", batch_size), ("workers:", workers)):
        if count is not None and count < 1:
            raise UsageError(f"{what} {count}: it must be at least 1")


def _features(arrays: list[NDArray[Any]], engine: Engine, batch_size: int) -> NDArray[np.float32]:
    """Run one batch, padded as the engine needs it: float32 `[len(arrays), *engine.shape]`."""
    rows = len(arrays)
    padding = engine.padded_rows(rows, batch_size) - rows
    features = engine.batch_stage(np.stack(arrays + arrays[-1:] * padding))[:rows]
    if not np.isfinite(features).all():
        raise VggfeatError("the features came out NaN or infinite: these weights are broken")
    return features


def _prepare(image: ImageRef, preprocessing: Preprocessing, engine: Engine) -> Prepared | Failure:
    try:
        source = image.read()
        array = engine.image_stage(preprocessing(source.data))
        return Prepared(image.name, source.size, source.mtime_ns, array)
    except OSError as error:
        return Failure(image.name, describe_os_error(error))
    except (ImageError, ValueError) as error:  # ValueError: a NUL within the path
        return Failure(image.name, str(error))


def _compute(batch: list[Prepared | Failure], engine: Engine, batch_size: int) -> list[Outcome]:
    arrays = [item.array for item in batch if isinstance(item, Prepared)]
    rows = iter(_features(arrays, engine, batch_size) if arrays else ())
    return [
        item if isinstance(item, Failure) else Row(item.name, item.size, item.mtime_ns, next(rows))
        for item in batch
    ]


def _in_order(
    pool: ThreadPoolExecutor, stage: Callable[[A], B], items: Iterable[A], ahead: int
) -> Iterator[B]:
    """Map a stage over items in a pool, results in order, at most `ahead` of them waiting."""
    pending: deque[Future[B]] = deque()
    for item in items:
        pending.append(pool.submit(stage, item))
        if len(pending) > ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _grouped(
    items: Iterable[Prepared | Failure], batch_size: int
) -> Iterator[list[Prepared | Failure]]:
    """Batches of `batch_size` prepared images, with the failures that fell between them."""
    batch: list[Prepared | Failure] = []
    filled = 0
    for item in items:
        batch.append(item)
        filled += isinstance(item, Prepared)
        if filled == batch_size or len(batch) == 64 * batch_size:
            yield batch
            batch, filled = [], 0
    if batch:
        yield batch
