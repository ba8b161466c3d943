"""The pace of a run's stages, measured while it goes on."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from vggfeat.cores import cores
from vggfeat.span import Span, not_computed
from vggfeat.stages import DECODING, NETWORK, Spent

_WINDOW = 15.0  # seconds that what holds up the run at present is judged by
_MARKS_APART = 1.0
_IDLE_COUNTS = 0.1  # of the network's time at the most is spent in workers


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
        self._processors = cores()
        self._processed_before = time.process_time()
        self._began = self._counted = self._clock()

    def spending(self, on: str) -> Span:
        """A block whose time goes into one of the attributes of `Spent`."""
        return Span(on, self._spent, self._lock, self._clock)

    def waiting(self, on: str) -> Span:
        """Likewise, but for what its thread computes meanwhile."""
        return Span(on, self._spent, self._lock, not_computed)

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
                self._spent["batch_stage"] += self._count_busy() - began
                self._spent["computed"] += images
                self._at_work -= 1

    def whole(self) -> Spent:
        """The time since the run began."""
        with self._lock:
            now = self._count_busy()
            elapsed = now - self._began
            return Spent._make(self._spent.values())._replace(
                elapsed=elapsed,
                processed=time.process_time() - self._processed_before,
                available=self._processors * elapsed,
            )

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
        """What holds up the run at present, one of `stages.STAGES`; None until it is known."""
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
        if not spent.batch_stage or not spent.image_stage:
            return None
        # Devices that had no batch at the time would have computed likewise.
        side_by_side = max(1.0, len(self.devices) * spent.busy / spent.batch_stage)
        of_batches = side_by_side * spent.computed / spent.busy
        return min(of_batches, self._workers * spent.decoded / spent.image_stage)

    def told(self) -> dict[str, Any]:
        """Of the whole run, for `feats.json`; empty where nothing was computed.

        `devices`; `limited_by`, the stage that held it up; `rates`, images a second that decoding
        and the network would each reach alone; and of an engine that computes whole batches
        `idle`, the share of the time in which it had none.
        """
        spent = self.whole()
        limit = spent.limit()
        if limit is None:
            return {}
        rates = {DECODING: self.decode_rate, NETWORK: self.network_rate}
        told: dict[str, Any] = {
            "devices": list(self.devices),
            "limited_by": limit,
            "rates": {stage: round(rate, 1) for stage, rate in rates.items() if rate},
        }
        if spent.image_stage < _IDLE_COUNTS * spent.batch_stage:
            told["idle"] = round(self.idle, 3)
        return told

    def _count_busy(self) -> float:
        """Up to now, which it gives."""
        now = self._clock()
        if self._at_work:
            self._spent["busy"] += now - self._counted
        self._counted = now
        return now
