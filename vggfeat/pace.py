"""The pace of a run's stages, measured while it goes on: which of them holds it up.

The main loop waits for what is slowest. Where that is an image, it is what the workers spend most
of their time with; a file that they wait for counts before what they do, because workers that wait
could do more. So the answer is right for an engine that computes in the workers as for one that
computes whole batches elsewhere.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

READING, DECODING, NETWORK, WRITING = STAGES = ("reading", "decoding", "network", "writing")

_WINDOW = 15.0  # seconds that what holds up the run at present is judged by
_MARKS_APART = 1.0
_WAIT_THAT_COUNTS = 0.25  # of the workers' time
_STEADY = 1.3  # times as much must another stage hold up the run to be told instead


class Spent(NamedTuple):
    """What a time went into. Seconds, of all threads together.

    Attributes:
        elapsed: as such.
        listing: of the main loop, waiting for the next image to be named.
        for_images: likewise, for an image to be prepared.
        for_batches: likewise, for a batch to be computed.
        writing: likewise, with what was computed.
        reading: of the workers, waiting for a file.
        decoding: likewise, with preprocessing.
        imaging: likewise, in the engine's `image_stage`.
        batching: in its `batch_stage`, of all batches that are computed side by side.
        busy: with at least one batch in it.
        decoded: images.
        computed: images.
    """

    elapsed: float = 0.0
    listing: float = 0.0
    for_images: float = 0.0
    for_batches: float = 0.0
    writing: float = 0.0
    reading: float = 0.0
    decoding: float = 0.0
    imaging: float = 0.0
    batching: float = 0.0
    busy: float = 0.0
    decoded: int = 0
    computed: int = 0

    def since(self, before: Spent) -> Spent:
        return Spent._make(now - then for now, then in zip(self, before, strict=True))

    def limit(self, told: str | None = None) -> str | None:
        """The stage that holds up the run; None where nothing was computed.

        Args:
            told: the stage that was told last, and is told on as long as it may be as well.
        """
        if not self.computed:
            return None
        holds = {
            READING: self.listing,
            DECODING: 0.0,
            NETWORK: self.for_batches,
            WRITING: self.writing,
        }
        holds[self._workers_stage()] += self.for_images
        if told is not None:
            holds[told] *= _STEADY
        return max(holds, key=holds.__getitem__)

    def _workers_stage(self) -> str:
        if self.reading > _WAIT_THAT_COUNTS * (self.reading + self.decoding + self.imaging):
            return READING
        return DECODING if self.decoding > self.imaging else NETWORK


class Pace:
    """Measures a run. For any thread.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._spent = dict.fromkeys(Spent._fields, 0.0)
        self._at_work = 0  # batches
        self._marks: deque[Spent] = deque()
        self._told: str | None = None
        self.begin(workers=1, devices=())

    def begin(self, workers: int, devices: Sequence[str]) -> None:
        """The run begins, on so many threads and on these devices."""
        self._workers = workers
        self.devices = tuple(devices)
        self._began = self._counted = self._clock()

    def spending(self, on: str) -> _Span:
        """A block whose time goes into one of the attributes of `Spent`."""
        return _Span(on, self._spent, self._lock, self._clock)

    @contextmanager
    def computing(self, images: int) -> Iterator[None]:
        """A block in which a batch is computed."""
        with self._lock:
            began = self._count_busy()
            self._at_work += 1
        try:
            yield
        finally:
            with self._lock:
                self._spent["batching"] += self._count_busy() - began
                self._spent["computed"] += images
                self._at_work -= 1

    def whole(self) -> Spent:
        """The time since the run began."""
        with self._lock:
            now = self._count_busy()
            return Spent._make(self._spent.values())._replace(elapsed=now - self._began)

    def recent(self) -> Spent:
        """The last seconds."""
        now = self.whole()
        while len(self._marks) > 1 and self._marks[1].elapsed < now.elapsed - _WINDOW:
            self._marks.popleft()
        if not self._marks or self._marks[-1].elapsed < now.elapsed - _MARKS_APART:
            self._marks.append(now)
        return now.since(self._marks[0]) if len(self._marks) > 1 else now

    @property
    def limit(self) -> str | None:
        """The stage that holds up the run at present, one of `STAGES`; None until it is known."""
        self._told = self.recent().limit(self._told)
        return self._told

    @property
    def idle(self) -> float:
        """The share of the run in which no batch was computed by the engine."""
        spent = self.whole()
        return 1 - spent.busy / spent.elapsed if spent.elapsed else 1.0

    @property
    def decode_rate(self) -> float | None:
        """Images a second that the workers would decode if they did nothing else."""
        spent = self.whole()
        return self._workers * spent.decoded / spent.decoding if spent.decoding else None

    @property
    def network_rate(self) -> float | None:
        """Images a second that the engine would compute if it never waited for one."""
        spent = self.whole()
        if not spent.busy or not spent.imaging:
            return None
        # Devices that had no batch at the time would have computed likewise.
        side_by_side = max(1.0, len(self.devices) * spent.busy / spent.batching)
        of_batches = side_by_side * spent.computed / spent.busy
        return min(of_batches, self._workers * spent.decoded / spent.imaging)

    def _count_busy(self) -> float:
        """Up to now, which it gives."""
        now = self._clock()
        if self._at_work:
            self._spent["busy"] += now - self._counted
        self._counted = now
        return now


class _Span:
    """Written for speed: there are several an image."""

    __slots__ = ("_began", "_clock", "_lock", "_on", "_spent")

    def __init__(
        self, on: str, spent: dict[str, float], lock: threading.Lock, clock: Callable[[], float]
    ) -> None:
        self._on = on
        self._spent = spent
        self._lock = lock
        self._clock = clock

    def __enter__(self) -> None:
        self._began = self._clock()

    def __exit__(self, *error: object) -> None:
        seconds = self._clock() - self._began
        with self._lock:
            self._spent[self._on] += seconds
            self._spent["decoded"] += self._on == "decoding"
