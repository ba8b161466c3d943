"""What is told of the pace of a run: by a clock that is set, and where a part is slow."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from vggfeat import pipeline
from vggfeat.outcome import Stamp
from vggfeat.pace import Pace
from vggfeat.preprocess import ImageData
from vggfeat.sources import Source
from vggfeat.stages import STAGES, Spent

SLOW = 0.004  # seconds
IMAGES = 48
PIXELS = np.zeros((224, 224, 3), np.uint8)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(
    ("spent", "stage"),
    [
        (Spent(computed=0, for_images=9, decoding=9), None),
        (Spent(computed=1, for_batches=6, for_images=3, reading=9), "network"),
        (Spent(computed=1, for_images=6, for_batches=3, decoding=9, image_stage=1), "decoding"),
        (Spent(computed=1, for_images=6, image_stage=9, decoding=1), "network"),
        (Spent(computed=1, for_images=6, reading=4, decoding=6), "reading"),  # they wait for files
        (Spent(computed=1, for_images=6, reading=1, decoding=6), "decoding"),
        (
            Spent(computed=1, for_images=6, reading=9, decoding=6, processed=7, available=10),
            "decoding",
        ),
        (Spent(computed=1, writing=6, for_batches=5, elapsed=11, busy=5), "writing"),
        (Spent(computed=1, writing=9, for_images=1, elapsed=10, busy=10), "network"),  # meanwhile
        (Spent(computed=1, listing=6, for_batches=5), "reading"),
    ],
)
def test_the_main_loop_waits_for_what_limits(spent: Spent, stage: str | None) -> None:
    assert spent.limit() == stage


def test_a_stage_that_was_told_is_told_on_until_another_is_clearly_slower() -> None:
    balanced = Spent(computed=1, for_batches=10, writing=11, elapsed=25, busy=10)
    assert balanced.limit("network") == "network"
    assert balanced.limit("writing") == balanced.limit() == "writing"
    assert balanced._replace(writing=14).limit("network") == "writing"


def test_so_is_what_the_workers_do_most() -> None:
    balanced = Spent(computed=1, for_images=10, decoding=10, image_stage=11)
    assert balanced.limit("decoding") == "decoding"
    assert balanced.limit("network") == balanced.limit() == "network"
    assert balanced._replace(image_stage=14).limit("decoding") == "network"
    assert balanced._replace(reading=6).limit("reading") == "reading"
    assert balanced._replace(reading=6).limit("network") == "network"


def test_the_last_seconds_count_at_present_and_all_of_them_for_the_whole(clock: Clock) -> None:
    pace = Pace(clock)
    pace.begin(workers=1, devices=["CPU"])

    def second(on: str) -> str | None:
        with pace.computing(1):
            pass
        with pace.spending(on):
            clock.now += 1
        return pace.limit

    assert [second("listing") for _ in range(100)] == ["reading"] * 100
    told = [second("writing") for _ in range(40)]
    changes = told.index("writing")
    assert 5 <= changes <= 15
    assert told == ["reading"] * changes + ["writing"] * (40 - changes)
    assert pace.whole().limit() == "reading"
    assert pace.whole().elapsed == 140


def test_a_card_is_idle_while_it_computes_no_batch(clock: Clock) -> None:
    pace = Pace(clock)
    pace.begin(workers=1, devices=["CPU"])
    first, second = pace.computing(8), pace.computing(8)
    clock.now += 3
    first.__enter__()
    clock.now += 1
    assert pace.idle == 0.75
    second.__enter__()
    clock.now += 1
    first.__exit__(None, None, None)
    clock.now += 2
    second.__exit__(None, None, None)
    clock.now += 1
    assert pace.idle == 0.5
    assert pace.whole().busy == 4
    assert pace.whole().batch_stage == 5


def test_rates_are_those_of_a_stage_alone(clock: Clock) -> None:
    pace = Pace(clock)
    pace.begin(workers=4, devices=["GPU"] * 2)
    assert (pace.decode_rate, pace.network_rate) == (None, None)
    for _ in range(10):
        with pace.spending("decoding"):
            clock.now += 0.5
        with pace.spending("image_stage"):
            clock.now += 0.125
    with pytest.raises(ValueError, match="broken"), pace.spending("decoding"):
        raise ValueError("broken")
    with pace.computing(10):
        clock.now += 1
        assert pace.network_rate is None  # of a batch that is not done
    assert pace.decode_rate == 8  # four threads, two images a second each
    assert pace.network_rate == 20  # two devices, ten images a second each
    with pace.computing(10):
        clock.now += 9
    assert pace.network_rate == 4


def test_what_is_told_of_a_whole_run(clock: Clock) -> None:
    pace = Pace(clock)
    pace.begin(workers=2, devices=["GPU 0"])
    assert pace.told() == {}
    for stage in ("decoding", "image_stage"):
        with pace.spending(stage):
            clock.now += 3 if stage == "decoding" else 0.25
    with pace.computing(1):
        clock.now += 0.75
    told = {"devices": ["GPU 0"], "limited_by": "network"}
    assert pace.told() == {**told, "rates": {"decoding": 0.7, "network": 1.3}}
    with pace.computing(8):
        clock.now += 4
    assert pace.told() == {**told, "rates": {"decoding": 0.7, "network": 1.9}, "idle": 0.406}


def test_the_network_is_no_faster_than_the_workers_that_compute_it(clock: Clock) -> None:
    pace = Pace(clock)
    pace.begin(workers=2, devices=["CPU"])
    with pace.spending("decoding"):
        clock.now += 1
    with pace.spending("image_stage"):
        clock.now += 0.5
    with pace.computing(1):
        clock.now += 0.01
    assert pace.network_rate == 4


def test_what_a_thread_computes_is_no_waiting() -> None:
    pace = Pace()
    begin, computed = time.perf_counter(), time.thread_time()
    with pace.waiting("reading"):
        while time.thread_time() - computed < 0.05:
            pass
    assert pace.whole().reading <= time.perf_counter() - begin - 0.045


class Slow(NamedTuple):
    """A run of which one part is slow."""

    part: str

    def take(self, part: str) -> None:
        if part == self.part:
            time.sleep(SLOW)

    def images(self) -> Iterator[Image]:
        for number in range(IMAGES):
            self.take("list")
            yield Image(str(number), self)

    def preprocess(self, data: ImageData) -> NDArray[np.uint8]:
        self.take("decode")
        assert isinstance(data, np.ndarray)
        return data


class Image(NamedTuple):
    name: str
    slow: Slow

    def stamp(self) -> Stamp | None:
        return None

    def read(self) -> Source:
        if self.slow.part == "read":
            time.sleep(8 * SLOW)  # of 16 at once
        return Source(PIXELS)


class Engine:
    """One device, which computes a batch at a time."""

    name = "slow"
    version = "0"
    shapes = ((1,),)
    batch_size = 4
    devices = ("device",)
    batches_together = 1

    def __init__(self, slow: Slow, batches_in_flight: int) -> None:
        self.slow = slow
        self.batches_in_flight = batches_in_flight
        self.device = threading.Lock()

    def image_stage(self, image: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        self.slow.take("image stage")
        return (np.zeros(1),)

    def batch_stage(self, batch: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        (images,) = batch
        with self.device:
            self.slow.take("batch stage")
        return [np.zeros((len(images), 1), np.float32)]


@pytest.mark.parametrize("batches_in_flight", [1, 2])
@pytest.mark.parametrize(
    ("part", "stage"),
    [
        ("list", "reading"),
        ("read", "reading"),
        ("decode", "decoding"),
        ("image stage", "network"),
        ("batch stage", "network"),
        ("write", "writing"),
    ],
)
def test_a_run_tells_what_it_waits_for(part: str, stage: str, batches_in_flight: int) -> None:
    slow, pace = Slow(part), Pace()
    engine = Engine(slow, batches_in_flight)
    run = pipeline.run(slow.images(), slow.preprocess, engine, workers=2, pace=pace)  # type: ignore[arg-type]
    for _ in run:
        slow.take("write")
    assert pace.limit == pace.whole().limit() == stage
    assert stage in STAGES
    assert pace.whole().computed == IMAGES
    if part != "batch stage":
        assert pace.idle > 0.5
