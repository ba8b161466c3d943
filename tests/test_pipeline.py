"""The main loop, with an engine whose results can be told at a glance."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from vggfeat import ImageError, VggfeatError, pipeline
from vggfeat.outcome import Failure, Row
from vggfeat.preprocess import Preprocessing
from vggfeat.sources import Source


class Grey(NamedTuple):
    """An image of one grey value, or one that cannot be read."""

    name: str
    value: int
    error: Exception | None = None

    def read(self) -> Source:
        if self.error is not None:
            raise self.error
        out = io.BytesIO()
        Image.new("L", (224, 224), self.value).save(out, "BMP")
        return Source(out.getvalue(), size=self.value, mtime_ns=7)


class MeanEngine:
    """Features: the mean grey value."""

    name = "mean"
    version = "0"
    shape = (1,)
    batch_size = 4

    def __init__(self, batches_in_flight: int = 1, minimum: int = 1) -> None:
        self.batches_in_flight = batches_in_flight
        self.minimum = minimum
        self.sizes: list[int] = []
        self.prepared = 0
        self.lock = threading.Lock()

    def image_stage(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        with self.lock:
            self.prepared += 1
        return np.array(image.mean())

    def padded_rows(self, rows: int, batch_size: int) -> int:
        return max(rows, self.minimum)

    def batch_stage(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        with self.lock:
            self.sizes.append(len(batch))
        return batch.astype(np.float32)[:, None]


def run(images: Any, engine: Any, batch_size: int = 4) -> list[Row | Failure]:
    batches = pipeline.run(images, Preprocessing(), engine, batch_size)
    return [outcome for batch in batches for outcome in batch]


@given(
    images=st.lists(st.none() | st.integers(0, 255), max_size=40),
    batch_size=st.integers(1, 9),
    in_flight=st.integers(1, 3),
    minimum=st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_one_outcome_an_image_in_the_order_of_the_images(
    images: list[int | None], batch_size: int, in_flight: int, minimum: int
) -> None:
    refs = [
        Grey(str(number), 0, OSError(5, "Input/output error"))
        if value is None
        else Grey(str(number), value)
        for number, value in enumerate(images)
    ]
    outcomes = run(refs, MeanEngine(in_flight, minimum), batch_size)
    assert [outcome.name for outcome in outcomes] == [ref.name for ref in refs]
    for outcome, value in zip(outcomes, images, strict=True):
        if value is None:
            assert outcome == Failure(outcome.name, "Input/output error")
        else:
            assert isinstance(outcome, Row)
            assert (outcome.features.tolist(), outcome.size, outcome.mtime_ns) == (
                [value],
                value,
                7,
            )


def test_failures_do_not_make_batches_smaller() -> None:
    engine = MeanEngine()
    bad = ImageError("bad")
    run([Grey(str(i), 1, bad if i % 3 == 0 else None) for i in range(12)], engine, 4)
    assert engine.sizes == [4, 4]


def test_a_batch_is_padded_as_the_engine_asks_and_cut_again() -> None:
    engine = MeanEngine(minimum=3)
    assert len(run([Grey("a", 9)], engine)) == 1
    assert engine.sizes == [3]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(2, "No such file or directory"), "No such file or directory"),
        (ImageError("the file is empty"), "the file is empty"),
        (ValueError("embedded null byte"), "embedded null byte"),
    ],
)
def test_what_is_wrong_with_an_image_is_its_reason(error: Exception, reason: str) -> None:
    assert run([Grey("a", 0, error)], MeanEngine()) == [Failure("a", reason)]


def test_an_endless_stream_is_read_a_bounded_way_ahead() -> None:
    taken = 0

    def endless() -> Iterator[Grey]:
        nonlocal taken
        while True:
            taken += 1
            yield Grey(str(taken), 1)

    batches = pipeline.run(endless(), Preprocessing(), MeanEngine(), batch_size=4)
    for number in range(1, 6):
        next(batches)
        assert taken <= 4 * number + 16
    batches.close()


def test_decoding_goes_on_while_a_batch_is_computed() -> None:
    engine = MeanEngine()
    seen: list[int] = []

    def slow(batch: NDArray[Any]) -> NDArray[np.float32]:
        before = engine.prepared
        time.sleep(0.2)
        seen.append(engine.prepared - before)
        return batch.astype(np.float32)[:, None]

    engine.batch_stage = slow  # type: ignore[method-assign]
    run([Grey(str(i), 1) for i in range(16)], engine)
    assert seen[0] > 0


def test_two_batches_are_computed_side_by_side_where_the_engine_can() -> None:
    engine = MeanEngine(batches_in_flight=2)
    both = threading.Barrier(2, timeout=20)

    def meet(batch: NDArray[Any]) -> NDArray[np.float32]:
        both.wait()
        return batch.astype(np.float32)[:, None]

    engine.batch_stage = meet  # type: ignore[method-assign]
    assert len(run([Grey(str(i), i) for i in range(8)], engine)) == 8


def test_a_fault_of_the_engine_ends_the_run() -> None:
    engine = MeanEngine()

    def broken(batch: NDArray[Any]) -> NDArray[np.float32]:
        raise VggfeatError("the engine is broken")

    engine.batch_stage = broken  # type: ignore[method-assign]
    with pytest.raises(VggfeatError, match="the engine is broken"):
        run([Grey("a", 1)], engine)


def test_features_that_are_not_finite_end_the_run() -> None:
    engine = MeanEngine()
    engine.batch_stage = lambda batch: np.full((len(batch), 1), np.nan, np.float32)  # type: ignore[method-assign]
    with pytest.raises(VggfeatError, match="NaN or infinite"):
        run([Grey("a", 1)], engine)
