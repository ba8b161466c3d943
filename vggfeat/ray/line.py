"""Parts that come one by one are computed as one stream, so that no pause is between them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TypeAlias

from vggfeat.dataset.part import Part, Record

Compute: TypeAlias = Callable[[Iterable[Part]], Iterable[Record]]

_Sent = tuple[Part, "Future[Record]"]


class Line:
    """Several threads each bring a part and wait for its record.

    Args:
        compute: computes a stream of parts: the next is taken while the one before is at work. The
            stream ends when no part waits.
    """

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._waiting: SimpleQueue[_Sent] = SimpleQueue()
        threading.Thread(target=self._work, daemon=True, name="line").start()

    def __call__(self, part: Part) -> Record:
        """What became of a part. Raises what computing it, or one beside it, has raised."""
        future: Future[Record] = Future()
        self._waiting.put((part, future))
        return future.result()

    def _work(self) -> None:
        while True:
            first = self._waiting.get()
            taken: dict[int, list[Future[Record]]] = {}
            try:
                for record in self._compute(self._stream(first, taken)):
                    for future in taken.pop(record.number):
                        future.set_result(record)
                if taken:
                    raise AssertionError(f"{len(taken)} parts without a record")
            except BaseException as error:
                for futures in taken.values():
                    for future in futures:
                        future.set_exception(error)

    def _stream(self, first: _Sent, taken: dict[int, list[Future[Record]]]) -> Iterator[Part]:
        sent: _Sent | None = first
        while sent is not None:
            part, future = sent
            # Ray tries a call again whose actor it could not reach, though that may still be at it.
            new = part.number not in taken
            taken.setdefault(part.number, []).append(future)
            if new:
                yield part
            try:
                sent = self._waiting.get_nowait()
            except Empty:
                sent = None
