"""The main loop, with an engine whose results can be told at a glance."""

from __future__ import annotations

import ctypes
import hashlib
import io
import itertools
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from vggfeat import ImageError, VggfeatError, ahead, pipeline
from vggfeat.errors import TransientImageError
from vggfeat.finish import Finish
from vggfeat.outcome import Failure, Outcome, Recognised, Row, Stamp
from vggfeat.preparing import Decoded
from vggfeat.preprocess import ImageData, Preprocessing
from vggfeat.sources import Source
from vggfeat.sources.held import Held
from vggfeat.suspects import Suspects


class Grey(NamedTuple):
    """An image of one grey value, or one that cannot be read."""

    name: str
    value: int
    error: Exception | None = None

    def stamp(self) -> Stamp | None:
        return Stamp(self.value, 7)

    def read(self) -> Source:
        if self.error is not None:
            raise self.error
        out = io.BytesIO()
        Image.new("L", (224, 224), self.value).save(out, "BMP")
        return Source(out.getvalue(), Stamp(self.value, 7))


class MeanEngine:
    """Features: the mean grey value."""

    name = "mean"
    version = "0"
    shapes = ((1,),)
    batch_size = 4

    devices = ("CPU",)

    def __init__(self, batches_in_flight: int = 1, batches_together: int = 1) -> None:
        self.batches_in_flight = batches_in_flight
        self.batches_together = batches_together
        self.sizes: list[int] = []
        self.prepared = 0
        self.lock = threading.Lock()

    def image_stage(self, image: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        with self.lock:
            self.prepared += 1
        return (np.array(image.mean()),)

    def batch_stage(self, batch: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        (means,) = batch
        with self.lock:
            self.sizes.append(len(means))
        return [means.astype(np.float32)[:, None]]


class TwoEngine(MeanEngine):
    """Features: the mean grey value, and a map of it and its negative."""

    shapes = ((1,), (1, 2))

    def image_stage(self, image: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        (mean,) = super().image_stage(image)
        return mean, np.array([mean, -mean])

    def batch_stage(self, batch: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        means, maps = batch
        return [*super().batch_stage([means]), maps.astype(np.float32)[:, None]]


def run(images: Any, engine: Any, batch_size: int = 4) -> list[Outcome]:
    batches = pipeline.run(images, Preprocessing(), engine, batch_size)
    return [outcome for batch in batches for outcome in batch]


@given(
    images=st.lists(st.none() | st.integers(0, 255), max_size=40),
    batch_size=st.integers(1, 9),
    in_flight=st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_one_outcome_an_image_in_the_order_of_the_images(
    images: list[int | None], batch_size: int, in_flight: int
) -> None:
    refs = [
        Grey(str(number), 0, OSError(5, "Input/output error"))
        if value is None
        else Grey(str(number), value)
        for number, value in enumerate(images)
    ]
    outcomes = run(refs, MeanEngine(in_flight), batch_size)
    assert [outcome.name for outcome in outcomes] == [ref.name for ref in refs]
    for outcome, value in zip(outcomes, images, strict=True):
        if value is None:
            assert outcome == Failure(outcome.name, "Input/output error")
        else:
            assert isinstance(outcome, Row)
            (features,) = outcome.features
            assert features.tolist() == [value]
            assert outcome.stamp == (value, 7)


def test_what_is_known_by_its_content_needs_no_row() -> None:
    known = hashlib.sha256(Grey("", 7).read().data).hexdigest()
    engine = MeanEngine()
    batches = pipeline.run(
        [Grey("a", 1), Grey("b", 7), Grey("c", 3)],
        Preprocessing(),
        engine,
        contents=lambda image: {known},
    )
    first, second, third = next(batches)
    assert isinstance(first, Row)
    assert second == Recognised("b", Stamp(7, 7), known)
    assert isinstance(third, Row)
    assert third.sha256 == hashlib.sha256(Grey("", 3).read().data).hexdigest()
    assert engine.prepared == 2


@pytest.mark.parametrize("transient", [True, False])
def test_only_a_reason_that_lasts_has_the_stamp_of_its_file(transient: bool) -> None:
    def refuse(data: object) -> NDArray[np.uint8]:
        raise (TransientImageError if transient else ImageError)("no")

    ((failure,),) = pipeline.run([Grey("a", 5)], refuse, MeanEngine())  # type: ignore[arg-type]
    assert failure == Failure("a", "no", None if transient else Stamp(5, 7))


def test_an_image_that_is_suspected_is_decoded_apart(tmp_path: Path) -> None:
    """What kills a process here comes back as a failure."""
    note = tmp_path / "decoding"
    note.write_bytes(b"b\0")
    suspects = Suspects(note)
    images = [Grey("a", 1), Grey("b", 2)]
    ((first, second),) = pipeline.run(
        images, DiesOutside(os.getpid()), MeanEngine(), suspects=suspects
    )
    assert isinstance(first, Row)
    assert second == Failure("b", "its decoder crashed (SIGSEGV)", Stamp(2, 7))
    suspects.close(decided=True)
    assert not note.exists()


@dataclass(frozen=True)
class DiesOutside(Preprocessing):
    """Segfaults in any process but one."""

    home: int = 0

    def __init__(self, home: int) -> None:
        super().__init__()
        object.__setattr__(self, "home", home)

    def __call__(self, image: ImageData) -> NDArray[np.uint8]:
        if os.getpid() != self.home:
            ctypes.string_at(0)
        return super().__call__(image)


def test_images_that_are_decoded_are_noted(tmp_path: Path) -> None:
    note = tmp_path / "decoding"
    seen = []

    def look(data: ImageData) -> NDArray[np.uint8]:
        seen.append(note.read_bytes().partition(b"\0")[0])
        return Preprocessing()(data)

    suspects = Suspects(note)
    list(pipeline.run([Grey("a.jpg", 1)], look, MeanEngine(), suspects=suspects))  # type: ignore[arg-type]
    assert seen == [b"a.jpg"]
    assert Suspects(note).names == frozenset()


def test_a_decoder_that_does_not_end_costs_its_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.apart, "SECONDS", 0.2)

    def hang(data: ImageData) -> NDArray[np.uint8]:
        pixels = Preprocessing()(data)
        while pixels[0, 0, 0] == 2:
            pass
        return pixels

    images = [Grey("a", 1), Grey("b", 2), Grey("c", 3)]
    ((first, second, third),) = pipeline.run(images, hang, MeanEngine(), workers=1)  # type: ignore[arg-type]
    assert second == Failure("b", pipeline.apart.TOO_LONG, Stamp(2, 7))
    assert isinstance(first, Row)
    assert isinstance(third, Row)


def test_a_row_holds_each_activation_finished() -> None:
    images = [Grey("a", 3), Grey("b", 0), Grey("c", 4)]
    finish = Finish("l2", "float16")
    (batch,) = pipeline.run(images, Preprocessing(), TwoEngine(), finish=finish)
    found = [[features.tolist() for features in row.features] for row in batch]  # type: ignore[union-attr]
    half = float(np.float16(0.5**0.5))
    assert found == [[[1], [[half, -half]]], [[0], [[0, 0]]], [[1], [[half, -half]]]]
    assert all(features.dtype == np.float16 for row in batch for features in row.features)  # type: ignore[union-attr]


def test_failures_do_not_make_batches_smaller() -> None:
    engine = MeanEngine()
    bad = ImageError("bad")
    run([Grey(str(i), 1, bad if i % 3 == 0 else None) for i in range(12)], engine, 4)
    assert engine.sizes == [4, 4]


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

    def slow(batch: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        before = engine.prepared
        time.sleep(0.2)
        seen.append(engine.prepared - before)
        return MeanEngine.batch_stage(engine, batch)

    engine.batch_stage = slow  # type: ignore[method-assign]
    run([Grey(str(i), 1) for i in range(16)], engine)
    assert seen[0] > 0


def test_two_batches_are_computed_side_by_side_where_the_engine_can() -> None:
    engine = MeanEngine(batches_in_flight=2)
    both = threading.Barrier(2, timeout=20)

    def meet(batch: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        both.wait()
        return MeanEngine.batch_stage(engine, batch)

    engine.batch_stage = meet  # type: ignore[method-assign]
    assert len(run([Grey(str(i), i) for i in range(8)], engine)) == 8


def written_slowly(engine: MeanEngine, images: int) -> Iterator[list[str]]:
    """The names of the images that are written together."""
    for outcomes in pipeline.run(
        [Grey(str(i), i) for i in range(images)], Preprocessing(), engine, batch_size=1
    ):
        time.sleep(0.02)
        yield [outcome.name for outcome in outcomes]


def test_batches_that_are_done_while_others_are_written_are_written_together() -> None:
    writes = list(written_slowly(MeanEngine(2, 1024), 40))
    assert list(itertools.chain(*writes)) == [str(i) for i in range(40)]
    assert len(writes) < 20


def test_batches_are_written_one_by_one_where_the_engine_says_so() -> None:
    writes = list(written_slowly(MeanEngine(2), 8))
    assert writes == [[str(i)] for i in range(8)]


def test_a_card_goes_on_while_the_disk_is_slow() -> None:
    engine = MeanEngine(2, 1024)
    computed = []
    for _ in written_slowly(engine, 60):
        computed.append(len(engine.sizes))
    meanwhile = [after - before for before, after in itertools.pairwise(computed)]
    assert max(meanwhile) > engine.batches_in_flight + 1


def test_after_a_slow_write_what_is_done_is_not_held_back_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ahead, "_LONGEST", 0.1)

    def images() -> Iterator[Grey]:
        for number in range(60):
            time.sleep(0.02)
            yield Grey(str(number), number)

    run = pipeline.run(images(), Preprocessing(), MeanEngine(2, 1024), batch_size=1)
    next(run)
    time.sleep(0.3)
    begin = time.monotonic()
    next(run)
    assert time.monotonic() - begin < 0.6  # all of them take 1.2 s
    run.close()


def test_what_was_computed_before_a_fault_is_written() -> None:
    engine = MeanEngine(2, 1024)

    def breaks(batch: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        if batch[0][0] >= 30:
            raise VggfeatError("the engine is broken")
        return MeanEngine.batch_stage(engine, batch)

    engine.batch_stage = breaks  # type: ignore[method-assign]
    written: list[str] = []
    with pytest.raises(VggfeatError, match="the engine is broken"):
        written.extend(name for names in written_slowly(engine, 40) for name in names)
    assert written == [str(i) for i in range(30)]


class Decoder:
    """Decodes three images at once, and notes which."""

    images = 3
    calls = 2

    def __init__(self) -> None:
        self.chunks: list[list[str]] = []
        self.at_work = 0
        self.most_at_work = 0
        self.lock = threading.Lock()

    def __call__(self, images: Sequence[Any]) -> list[Decoded | Failure]:
        with self.lock:
            self.chunks.append([image.name for image in images])
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
        time.sleep(0.01 * (len(self.chunks) % 2))
        found = [self.decoded(image) for image in images]
        with self.lock:
            self.at_work -= 1
        return found

    def decoded(self, image: Any) -> Decoded | Failure:
        source = image.read()
        sha256 = hashlib.sha256(source.data).hexdigest()
        if image.name == "5":
            return Failure(image.name, "no", source.stamp)
        return Decoded(image.name, source.stamp, sha256, Preprocessing()(source.data))


def test_images_that_are_decoded_elsewhere_come_as_if_it_were_here() -> None:
    images = [Grey(str(number), number) for number in range(20)]
    known = hashlib.sha256(images[7].read().data).hexdigest()
    decoder = Decoder()

    def outcomes(elsewhere: Decoder | None) -> list[Any]:
        batches = pipeline.run(
            images, Preprocessing(), MeanEngine(), contents=lambda image: {known},
            elsewhere=elsewhere,
        )  # fmt: skip
        return [outcome for batch in batches for outcome in batch]

    here, there = outcomes(None), outcomes(decoder)
    assert there[5] == Failure("5", "no", Stamp(5, 7))
    assert there[7] == here[7] == Recognised("7", Stamp(7, 7), known)
    assert there[:5] + there[6:] == here[:5] + here[6:]
    names = [str(number) for number in range(20)]
    assert sorted(decoder.chunks) == sorted(names[at : at + 3] for at in range(0, 20, 3))
    assert decoder.most_at_work <= 2


def test_large_images_that_come_with_their_bytes_are_handed_over_few_at_a_time() -> None:
    large = Grey("", 1).read().data + bytes(3 << 20)
    images = [Held(str(number), large, Stamp(len(large), 7)) for number in range(5)]
    decoder = Decoder()
    run = pipeline.run(images, Preprocessing(), MeanEngine(), elsewhere=decoder)
    assert len([outcome for batch in run for outcome in batch]) == 5
    assert sorted(decoder.chunks) == [["0", "1"], ["2", "3"], ["4"]]


def test_a_fault_of_the_engine_ends_the_run() -> None:
    engine = MeanEngine()

    def broken(batch: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        raise VggfeatError("the engine is broken")

    engine.batch_stage = broken  # type: ignore[method-assign]
    with pytest.raises(VggfeatError, match="the engine is broken"):
        run([Grey("a", 1)], engine)


def test_features_that_are_not_finite_end_the_run() -> None:
    engine = MeanEngine()
    engine.batch_stage = lambda batch: [np.full((1, 1), np.nan, np.float32)]  # type: ignore[method-assign]
    with pytest.raises(VggfeatError, match="NaN or infinite"):
        run([Grey("a", 1)], engine)
