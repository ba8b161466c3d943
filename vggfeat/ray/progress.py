"""Images are counted while their part is under work, since a part may take long."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from vggfeat.watcher import Watcher

if TYPE_CHECKING:
    from vggfeat.dataset.part import Record

_EVERY = 1.0  # seconds
_PATIENCE = 60.0  # seconds, for an actor to start
_WAITING = (
    "the run waits for processors of the cluster: none is free, or its nodes start slowly "
    "(`ray status` tells more)"
)


class Tally:
    """A Ray actor, which is told by each actor of the pool what it has done.

    A process that takes the place of a dead one begins anew, under the same name.
    """

    def __init__(self) -> None:
        self._told: dict[str, tuple[str, int]] = {}

    def tell(self, actor: str, process: str, images: int) -> None:
        self._told[actor] = process, images

    def told(self) -> dict[str, int]:
        """Images that each process has done, since it began."""
        return dict(self._told.values())


class Answered(NamedTuple):
    """How many of its images a process has answered for, since it began."""

    process: str
    images: int


class Telling(Watcher):
    """Watches the parts of an actor.

    Args:
        tally: the handle of a `Tally`; None to tell nobody.
        actor: its name.
    """

    def __init__(self, tally: Any, actor: str) -> None:
        self._tally = tally
        self._actor = actor
        self._process = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._images = self._answered = 0
        self._told = 0.0
        self.advance(0)

    def advance(self, images: int) -> None:
        with self._lock:
            self._images += images
            now = time.monotonic()
            if self._tally and now - self._told >= _EVERY:
                self._told = now
                self._tally.tell.remote(self._actor, self._process, self._images)

    def part_done(self, images: int) -> Answered:
        """Images that were there already have not been told of."""
        with self._lock:
            self._answered = min(self._answered + images, self._images)
            return Answered(self._process, self._answered)


class Progress:
    """Tells a watcher of images: those of parts that are done, and of others what is known.

    Args:
        ray: the module, connected.
        watcher: told by one thread at a time, not always the same.

    Attributes:
        tally: what actors tell.
    """

    def __init__(self, ray: Any, watcher: Watcher) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        self.tally = ray.remote(num_cpus=0, scheduling_strategy=here)(Tally).remote()
        self._ray = ray
        self._watcher = watcher
        self._lock = threading.Lock()
        self._done = self._shown = 0
        self._answered: dict[str, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True, name="progress")

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._ray.kill(self.tally)

    def note(self, notes: Iterable[str]) -> None:
        with self._lock:
            for note in notes:
                self._watcher.note(note)

    def part_done(self, record: Record, answered: Answered | None) -> None:
        with self._lock:
            if answered is not None:
                before = self._answered.get(answered.process, 0)
                self._answered[answered.process] = max(before, answered.images)
            for failure in record.failures:
                self._watcher.failed(failure)
            self._done += record.images
            self._show(self._done)

    def _ask(self) -> None:
        impatient: float | None = time.monotonic() + _PATIENCE
        while not self._ended.wait(_EVERY):
            with self._lock:
                try:
                    told = self._ray.get(self.tally.told.remote(), timeout=_EVERY)
                except self._ray.exceptions.RayError:  # it is a help and no more
                    continue
                self._show(self._done + sum(map(self._under_work, told, told.values())))
                if told:
                    impatient = None
                elif impatient and time.monotonic() > impatient:
                    impatient = None
                    self._watcher.note(_WAITING)

    def _under_work(self, process: str, images: int) -> int:
        return max(images - self._answered.get(process, 0), 0)

    def _show(self, images: int) -> None:
        if images > self._shown:
            self._watcher.advance(images - self._shown)
            self._shown = images
