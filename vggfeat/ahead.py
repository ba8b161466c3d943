"""Pools that work ahead of the main loop by a bounded number of items, whose order stays."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from time import perf_counter
from typing import Any, TypeVar

from vggfeat.pace import Pace

A = TypeVar("A")
B = TypeVar("B")

_LONGEST = 1.0  # seconds that done batches are held back, so that a kill loses no more than that


def in_order(
    start: Callable[[A], Future[B]], items: Iterable[A], ahead: int, pace: Pace
) -> Iterator[B]:
    """What becomes of items that are started in a pool, in order, at most `ahead` waiting."""
    pending: deque[Future[B]] = deque()
    for item in _listed(items, pace):
        pending.append(start(item))
        if len(pending) > ahead:
            yield _awaited(pending.popleft(), pace, "for_images")
    while pending:
        yield _awaited(pending.popleft(), pace, "for_images")


def as_done(
    start: Callable[[A], Future[list[B]]],
    batches: Iterable[A],
    ahead: int,
    together: int,
    pace: Pace,
) -> Iterator[list[B]]:
    """What becomes of batches that are started in a pool, in order, at most `ahead` waiting.

    A batch that is done is handed on when the next one is there; but where it takes longer to
    write one than to collect one, only when many are started, which are computed meanwhile, or
    when it is a while since the last one.

    Args:
        together: how many batches that are done may be handed on as one.
    """
    pending: deque[Future[list[B]]] = deque()
    writing, written = 0.0, perf_counter()
    began = written
    for batch in batches:
        pending.append(start(batch))
        now = perf_counter()
        is_time = now - began >= writing or now - written >= _LONGEST
        if len(pending) > ahead or (pending[0].done() and is_time):
            taken = _taken(pending, together, pace)
            began = perf_counter()
            yield taken
            written = perf_counter()
            writing = written - began
        began = perf_counter()
    while pending:
        yield _taken(pending, together, pace)


def _taken(pending: deque[Future[list[B]]], together: int, pace: Pace) -> list[B]:
    """What has become of the first batch, and of the next ones as far as they are done."""
    taken = _awaited(pending.popleft(), pace, "for_batches")
    for _ in range(together - 1):
        if not (pending and pending[0].done()) or pending[0].exception():
            break
        taken += pending.popleft().result()
    return taken


def _awaited(future: Future[B], pace: Pace, on: str) -> B:
    if future.done():
        return future.result()
    with pace.spending(on):
        return future.result()


def _listed(items: Iterable[A], pace: Pace) -> Iterator[A]:
    """The items, and into the pace the time that it takes to come by them."""
    rest, end = iter(items), object()
    while True:
        with pace.spending("listing"):
            item: Any = next(rest, end)
        if item is end:
            return
        yield item
