"""The main loop: images in, outcomes out, in the same order.

    images -> workers: read, recognise or preprocess, engine.image_stage
           -> engine.batch_stage, finish

Decoding and computing overlap because each stage looks ahead a bounded number of items, so
memory does not grow with the number of images. A failed image is a value that travels in its
place.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Container, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from vggfeat import apart
from vggfeat.cores import cores
from vggfeat.errors import (
    ImageError,
    TransientImageError,
    UsageError,
    VggfeatError,
    describe_os_error,
)
from vggfeat.finish import Finish
from vggfeat.outcome import Failure, Outcome, Recognised, Row, Stamp
from vggfeat.suspects import Suspects
from vggfeat.workers import Workers

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
    stamp: Stamp
    sha256: str
    arrays: tuple[NDArray[Any], ...]


Ready: TypeAlias = "Prepared | Recognised | Failure"


def run(
    images: Iterable[ImageRef],
    preprocessing: Preprocessing,
    engine: Engine,
    batch_size: int | None = None,
    workers: int | None = None,
    contents: Container[str] | None = None,
    suspects: Suspects | None = None,
    finish: Finish = Finish(),  # noqa: B008  # it cannot change
) -> Generator[list[Outcome], None, None]:
    """Outcomes of all images, a batch at a time: one each, in the order of the images.

    Args:
        images: what to read.
        preprocessing: how they become what the network sees.
        engine: what computes the features.
        batch_size: images in a batch; None for what serves the engine best.
        workers: threads that read, decode and run the engine's image stage; None for as many
            as there are processors to use.
        contents: sha256 of files that need no row, since they have one; None where files are not
            to be told by their content.
        suspects: images that may kill the process, and where to note those that are decoded.
        finish: what is done to the features of a batch.

    Raises:
        VggfeatError: the features do not fit their dtype, or the engine cannot go on. What is
            wrong with an image is an outcome.
    """
    batch_size = batch_size or engine.batch_size
    workers = workers or cores()
    suspects = suspects or Suspects(None)

    def prepare(image: ImageRef) -> Ready:
        return _prepare(image, preprocessing, engine, contents, suspects)

    def give_up(image: ImageRef) -> Ready:
        return Failure(image.name, apart.TOO_LONG, image.stamp())

    def start_preparing(image: ImageRef) -> Future[Ready]:
        return preparing.submit(prepare, image, give_up)

    def start_computing(batch: list[Ready]) -> Future[list[Outcome]]:
        return computing.submit(_compute, batch, engine, batch_size, finish)

    preparing = Workers(workers, limit=apart.SECONDS)
    computing = ThreadPoolExecutor(engine.batches_in_flight, "batch")
    try:
        prepared = _in_order(start_preparing, images, ahead=max(batch_size, 2 * workers))
        batches = _grouped(prepared, batch_size)
        yield from _in_order(start_computing, batches, ahead=engine.batches_in_flight)
    finally:
        preparing.shutdown()
        computing.shutdown(wait=False, cancel_futures=True)


def check_counts(batch_size: int | None, workers: int | None) -> None:
    """Raise UsageError where either is less than one."""
    for what, count in (("a batch of", batch_size), ("workers:", workers)):
        if count is not None and count < 1:
            raise UsageError(f"{what} {count}: it must be at least 1")


def _features(
    prepared: list[tuple[NDArray[Any], ...]], engine: Engine, batch_size: int
) -> list[NDArray[np.float32]]:
    """Run one batch, padded as the engine needs it: float32 `[n, *shape]` of each activation."""
    rows = len(prepared)
    padded = prepared + prepared[-1:] * (engine.padded_rows(rows, batch_size) - rows)
    stacked = [np.stack(arrays) for arrays in zip(*padded, strict=True)]
    features = [found[:rows] for found in engine.batch_stage(stacked)]
    if not all(np.isfinite(found).all() for found in features):
        raise VggfeatError("the features came out NaN or infinite: these weights are broken")
    return features


def _prepare(
    image: ImageRef,
    preprocessing: Preprocessing,
    engine: Engine,
    contents: Container[str] | None,
    suspects: Suspects,
) -> Ready:
    try:
        source = image.read()
    except OSError as error:
        return Failure(image.name, describe_os_error(error))
    except (ImageError, ValueError) as error:  # ValueError: a NUL within the path
        return Failure(image.name, str(error))
    sha256 = ""
    if contents is not None and isinstance(source.data, bytes):
        sha256 = hashlib.sha256(source.data).hexdigest()
        if sha256 in contents:
            return Recognised(image.name, source.stamp, sha256)
    try:
        if image.name in suspects.names and isinstance(source.data, bytes):
            pixels = apart.preprocess_apart(source.data, preprocessing)
        else:
            with suspects.decoding(image.name):
                pixels = preprocessing(source.data)
    except TransientImageError as error:
        return Failure(image.name, str(error))
    except ImageError as error:
        return Failure(image.name, str(error), source.stamp)
    return Prepared(image.name, source.stamp, sha256, engine.image_stage(pixels))


def _compute(batch: list[Ready], engine: Engine, batch_size: int, finish: Finish) -> list[Outcome]:
    prepared = [item.arrays for item in batch if isinstance(item, Prepared)]
    features = _features(prepared, engine, batch_size) if prepared else []
    rows = zip(*map(finish, features), strict=True)
    return [
        Row(item.name, item.stamp, item.sha256, next(rows)) if isinstance(item, Prepared) else item
        for item in batch
    ]


def _in_order(start: Callable[[A], Future[B]], items: Iterable[A], ahead: int) -> Iterator[B]:
    """What becomes of items that are started in a pool, in order, at most `ahead` waiting."""
    pending: deque[Future[B]] = deque()
    for item in items:
        pending.append(start(item))
        if len(pending) > ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _grouped(items: Iterable[Ready], batch_size: int) -> Iterator[list[Ready]]:
    """Batches of `batch_size` prepared images, with what else fell between them."""
    batch: list[Ready] = []
    filled = 0
    for item in items:
        batch.append(item)
        filled += isinstance(item, Prepared)
        if filled == batch_size or len(batch) == 64 * batch_size:
            yield batch
            batch, filled = [], 0
    if batch:
        yield batch
