"""Batches dealt to devices that fail, without TensorFlow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vggfeat import VggfeatError
from vggfeat.engines.dealing import Dealer, DeviceError, OutOfMemoryError

Images = NDArray[np.uint8]


class Card:
    """Features: the images' numbers and twice these. It holds so many images, and then breaks."""

    def __init__(
        self, label: str = "card", batch_size: int = 8, holds: int = 99, breaks_at: int = 999
    ) -> None:
        self.label, self.batch_size = label, batch_size
        self.holds, self.breaks_at = holds, breaks_at
        self.calls: list[int] = []
        self.pause: Callable[[], object] = lambda: None

    def compute(self, images: Images) -> list[NDArray[np.float32]]:
        assert len(images) >= 1
        self.calls.append(len(images))
        self.pause()
        if len(self.calls) > self.breaks_at:
            raise DeviceError("fallen off the bus")
        if len(images) > self.holds:
            raise OutOfMemoryError("out of memory")
        return [images.astype(np.float32), 2 * images.astype(np.float32)]


def deal(cards: Sequence[Card], batches: Sequence[Images], at_once: int = 2) -> list[str]:
    """Compute all batches side by side, see that all are right, and give the notes."""
    notes: list[str] = []
    dealer = Dealer(cards, at_once, notes.append)
    with ThreadPoolExecutor(at_once * len(cards)) as pool:
        found = list(pool.map(dealer.compute, batches))
    for batch, (once, twice) in zip(batches, found, strict=True):
        np.testing.assert_array_equal(once, batch)
        np.testing.assert_array_equal(twice, 2 * batch.astype(np.float32))
    return notes


def batches_of(*sizes: int) -> list[Images]:
    return [np.arange(size, dtype=np.uint8) + 3 * n for n, size in enumerate(sizes)]


@given(
    sizes=st.lists(st.integers(1, 20), max_size=12),
    sound=st.integers(1, 9),
    others=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(0, 5)), max_size=3),
    at_once=st.integers(1, 3),
)
@settings(max_examples=50, deadline=None)
def test_no_batch_is_lost_while_one_device_is_left(
    sizes: list[int], sound: int, others: list[tuple[int, int, int]], at_once: int
) -> None:
    cards = [Card("sound", batch_size=sound)]
    for number, (size, holds, breaks_at) in enumerate(others):
        cards.append(Card(f"card {number}", size, holds, breaks_at))
    deal(cards, batches_of(*sizes), at_once)


def test_every_device_takes_part() -> None:
    all_four = threading.Barrier(4, timeout=20)
    cards = [Card("0"), Card("1")]
    for card in cards:
        card.pause = all_four.wait
    assert deal(cards, batches_of(3, 4, 5, 6)) == []
    assert [len(card.calls) for card in cards] == [2, 2]


def test_who_is_slow_gets_fewer_batches() -> None:
    fast, slow = Card("fast"), Card("slow")
    slow.pause = lambda: time.sleep(0.2)
    deal([fast, slow], batches_of(*[2] * 20), at_once=1)
    assert len(slow.calls) < len(fast.calls)


def test_batches_are_halved_until_they_fit_and_stay_so() -> None:
    card = Card("GPU 0", batch_size=8, holds=3)
    assert deal([card], batches_of(8, 8), at_once=1) == [
        "GPU 0: out of memory with batches of 8, goes on with 4",
        "GPU 0: out of memory with batches of 4, goes on with 2",
    ]
    assert card.calls == [8, 4, 2, 2, 2, 2, 2, 2, 2, 2]


def test_two_batches_that_find_memory_full_at_once_halve_it_once() -> None:
    card = Card("GPU 0", batch_size=8, holds=4)
    both = threading.Barrier(2, timeout=20)
    card.pause = lambda: both.wait() if len(card.calls) <= 2 else None
    notes = deal([card], batches_of(8, 8))
    assert notes == ["GPU 0: out of memory with batches of 8, goes on with 4"]
    assert card.batch_size == 4


def test_a_device_that_fails_is_dropped_and_said_to_be() -> None:
    cards = [Card("GPU 0"), Card("GPU 1", breaks_at=1), Card("GPU 2")]
    (note,) = deal(cards, batches_of(*[4] * 30))
    assert note == "GPU 1 failed: fallen off the bus; goes on without it, on GPU 0, GPU 2"
    assert len(cards[1].calls) <= 3  # one it had at the same time, but none after that


def test_a_device_without_memory_for_a_single_image_is_dropped() -> None:
    cards = [Card("GPU 0", holds=0), Card("GPU 1")]
    cards[1].pause = lambda: time.sleep(0.05)
    *_, last = deal(cards, batches_of(4, 4, 4, 4), at_once=1)
    assert (
        last == "GPU 0 failed: out of memory, even for a single image; goes on without it, on GPU 1"
    )


def test_without_a_device_it_ends_in_one_sentence_for_all_who_wait() -> None:
    cards = [Card("GPU 0", breaks_at=0), Card("GPU 1", breaks_at=0)]
    dealer = Dealer(cards, 1, lambda note: None)
    with ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(dealer.compute, batch) for batch in batches_of(*[2] * 6)]
        sentences = {str(future.exception(20)) for future in futures}
    assert len(sentences) == 1
    assert sentences.pop().endswith("failed: fallen off the bus; `vggfeat doctor` looks into it")
    assert dealer.left == ()


def test_what_is_no_fault_of_a_device_comes_through() -> None:
    card = Card()

    def stop() -> None:
        raise VggfeatError("stop")

    card.pause = stop
    dealer = Dealer([card], 1, lambda note: None)
    for _ in range(2):
        with pytest.raises(VggfeatError, match="stop"):
            dealer.compute(np.zeros(1, np.uint8))
    assert dealer.left == (card,)
