"""The main loop: images in, outcomes out, in the same order.

    images -> readers: read -> workers: recognise or preprocess, engine.image_stage
           -> engine.batch_stage, finish

Up to the pixels it may go on elsewhere, of which the workers only wait for the end.

Reading, decoding and computing overlap because each stage looks ahead a bounded number of items,
so memory does not grow with the number of images. A failed image is a value that travels in its
place.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from vggfeat import apart
from vggfeat.ahead import as_done, in_order
from vggfeat.cores import cores
from vggfeat.engines.batches import fitting
from vggfeat.errors import UsageError, VggfeatError
from vggfeat.finish import Finish
from vggfeat.outcome import Outcome, Row
from vggfeat.pace import Pace
from vggfeat.preparing import (
    Contents,
    Decoding,
    Elsewhere,
    Preparation,
    Prepared,
    Ready,
    too_long,
    unknown,
)
from vggfeat.reading import Reading
from vggfeat.sources.held import Held
from vggfeat.suspects import Suspects
from vggfeat.workers import Workers

if TYPE_CHECKING:
    from vggfeat.engines import Engine
    from vggfeat.preprocess import Preprocessing
    from vggfeat.sources import ImageRef

_MOST_HELD = 1 << 22  # bytes of images that are handed over together


def run(
    images: Iterable[ImageRef],
    preprocessing: Preprocessing,
    engine: Engine,
    batch_size: int | None = None,
    workers: int | None = None,
    contents: Contents = unknown,
    suspects: Suspects | None = None,
    finish: Finish = Finish(),  # noqa: B008  # it cannot change
    pace: Pace | None = None,
    elsewhere: Elsewhere | None = None,
) -> Generator[list[Outcome], None, None]:
    """Outcomes of all images, as batches are done: one each, in the order of the images.

    Args:
        images: what to read.
        preprocessing: how they become what the network sees.
        engine: what computes the features.
        batch_size: images in a batch; None for what serves the engine best.
        workers: threads that decode and run the engine's image stage; None for as many as there
            are processors to use.
        contents: sha256 of files that need no row, since they have one, for each image.
        suspects: images that may kill the process, and where to note those that are decoded.
        finish: what is done to the features of a batch.
        pace: measures it.
        elsewhere: decodes the images; None for the workers. Nothing is suspected then, nor
            recognised before it is decoded.

    Raises:
        VggfeatError: the features do not fit their dtype, or the engine cannot go on. What is
            wrong with an image is an outcome.
    """
    batch_size = batch_size or engine.batch_size
    workers = workers or cores()
    pace = pace or Pace()
    reading = Reading(workers)
    preparation = Preparation(engine, pace)
    decoding = Decoding(reading, preprocessing, contents, suspects or Suspects(None), pace)
    prepare = partial(preparation.here, decoding)

    def start_preparing(image: ImageRef) -> Future[Ready]:
        return reading.start(image, lambda it: preparing.submit(prepare, it, too_long))

    def start_computing(batch: list[Ready]) -> Future[list[Outcome]]:
        return computing.submit(_compute, batch, engine, finish, pace)

    if elsewhere is None:
        preparing = Workers(workers, limit=apart.SECONDS)
        prepared = in_order(start_preparing, images, max(batch_size, 2 * workers), pace)
    else:
        preparing = Workers(elsewhere.calls)
        fetch = partial(preparation.elsewhere, elsewhere, contents)
        chunks = _chunks(images, elsewhere.images)
        fetched = in_order(lambda it: preparing.submit(fetch, it), chunks, elsewhere.calls, pace)
        prepared = chain.from_iterable(fetched)
    computing = ThreadPoolExecutor(engine.batches_in_flight, "batch")
    pace.begin(preparing.count, engine.devices)
    try:
        batches = _grouped(prepared, batch_size)
        shapes = [(batch_size, *shape) for shape in engine.shapes]
        together = fitting(engine.batches_together, shapes)
        ahead = engine.batches_in_flight + together - 1
        for outcomes in as_done(start_computing, batches, ahead, together, pace):
            with pace.spending("writing"):
                yield outcomes
    finally:
        reading.shutdown()
        preparing.shutdown()
        computing.shutdown(wait=False, cancel_futures=True)


def check_counts(batch_size: int | None, workers: int | None) -> None:
    """Raise UsageError where either is less than one."""
    for what, count in (("a batch of", batch_size), ("workers:", workers)):
        if count is not None and count < 1:
            raise UsageError(f"{what} {count}: it must be at least 1")


def _compute(batch: list[Ready], engine: Engine, finish: Finish, pace: Pace) -> list[Outcome]:
    prepared = [item.arrays for item in batch if isinstance(item, Prepared)]
    features = []
    if prepared:
        stacked = [np.stack(arrays) for arrays in zip(*prepared, strict=True)]
        with pace.computing(len(prepared)):
            features = engine.batch_stage(stacked)
        if not all(np.isfinite(found).all() for found in features):
            raise VggfeatError(
                "the features came out NaN or infinite: these weights are broken, or in float16 "
                "too large (--precision float32)"
            )
    rows = zip(*map(finish, features), strict=True)
    return [
        Row(item.name, item.stamp, item.sha256, next(rows)) if isinstance(item, Prepared) else item
        for item in batch
    ]


def _chunks(images: Iterable[ImageRef], most: int) -> Iterator[list[ImageRef]]:
    """Up to so many images together, fewer where they come with their bytes and are large."""
    chunk: list[ImageRef] = []
    held = 0
    for image in images:
        chunk.append(image)
        if isinstance(image, Held) and (stamp := image.stamp()):
            held += stamp.size
        if len(chunk) == most or held >= _MOST_HELD:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


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
