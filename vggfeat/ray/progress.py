"""Images are counted while their part is under work, since a part may take long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from vggfeat.ray.quiet import package
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
        self._images: dict[str, int] = {}

    def tell(self, actor: str, images: int) -> None:
        self._images[actor] = images

    def told(self) -> tuple[int, int]:
        """Of how many actors, and how many images of parts that are not done."""
        return len(self._images), sum(self._images.values())


class Telling(Watcher):
    """Watches the parts of an actor.

    Args:
        tally: the handle of a `Tally`; None to tell nobody.
        actor: its name.
    """

    def __init__(self, tally: Any, actor: str) -> None:
        self._tally = tally
        self._actor = actor
        self._lock = threading.Lock()
        self._images = 0
        self._told = 0.0
        self.advance(0)

    def advance(self, images: int) -> None:
        with self._lock:
            self._images += images
            if time.monotonic() - self._told >= _EVERY:
                self._tell()

    def part_done(self, images: int) -> None:
        """To be called before the part is answered for: no image counts twice."""
        with self._lock:
            self._images = max(self._images - images, 0)
            answer = self._tell()
        if answer is not None:
            package().wait([answer], timeout=_PATIENCE)  # at once, if it has started

    def _tell(self) -> Any:
        self._told = time.monotonic()
        return self._tally and self._tally.tell.remote(self._actor, self._images)


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

    def part_done(self, record: Record) -> None:
        with self._lock:
            for failure in record.failures:
                self._watcher.failed(failure)
            self._done += record.images
            self._show(self._done)

    def _ask(self) -> None:
        impatient: float | None = time.monotonic() + _PATIENCE
        while not self._ended.wait(_EVERY):
            with self._lock:
                try:
                    actors, images = self._ray.get(self.tally.told.remote(), timeout=_EVERY)
                except self._ray.exceptions.RayError:  # it is a help and no more
                    continue
                self._show(self._done + images)
                if actors:
                    impatient = None
                elif impatient and time.monotonic() > impatient:
                    impatient = None
                    self._watcher.note(_WAITING)

    def _show(self, images: int) -> None:
        if images > self._shown:
            self._watcher.advance(images - self._shown)
            self._shown = images
