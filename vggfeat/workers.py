"""Threads for tasks of which one in a million never ends, as decoders do over a damaged file.

A task that takes too much is given up: its future gets a result made without it, and another
thread takes the place of its own. A thread in C code cannot be ended from outside, so all are
daemons, for which the end of the process does not wait. One that holds Python's global lock for
ever holds the watchdog up as well; nothing within the process helps against that.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from vggfeat.errors import VggfeatError

A = TypeVar("A")
B = TypeVar("B")

_LOOK_EVERY = 1.0  # seconds
_PATIENCE_AT_EXIT = 5.0  # seconds, for tasks that are running
_LOWEST_PRIORITY = 19
_NEVER = threading.TIMEOUT_MAX


class Workers:
    """A pool of threads, started as tasks come.

    Args:
        count: threads at the most, those not counted that hang in a task given up. It may be set.
        limit: seconds of CPU time that a task may take, which do not pass while the process is
            stopped or the machine busy; seconds as such where the system does not tell.
        name: of the threads.
    """

    def __init__(self, count: int, limit: float = _NEVER, name: str = "worker") -> None:
        self.count = count
        self._limit = limit
        self._names = (f"{name}_{number}" for number in itertools.count())
        self._waiting: SimpleQueue[_Task | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._unfinished = 0
        self._threads: set[_Worker] = set()
        self._watched = False
        self._closed = False

    def submit(
        self, function: Callable[[A], B], item: A, overdue: Callable[[A], B] | None = None
    ) -> Future[B]:
        """Have `function(item)` computed; if that is given up, the result is `overdue(item)`.

        Whatever either raises, BaseExceptions too, is in the future.

        Raises:
            VggfeatError: the system gives no thread.
        """
        task = _Task(function, item, overdue or function, Future())
        with self._lock:
            if self._closed:
                raise RuntimeError("a task after the shutdown")
            self._unfinished += 1
            self._waiting.put(task)
            self._start_missing()
            if not self._threads:
                raise VggfeatError("no thread can be started: too many are running")
        return task.future

    def shutdown(self) -> None:
        """Take no more tasks. Those not begun are cancelled, those running are not waited for."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            with contextlib.suppress(Empty):
                while task := self._waiting.get_nowait():
                    task.future.cancel()
            for _ in self._threads:
                self._waiting.put(None)
            # C++ aborts the process where Python ends a daemon thread that comes back from it.
            # Where there is no limit they only read.
            running = [thread for thread in self._threads if thread.task]
            if running and self._limit < _NEVER:
                atexit.register(_join, running)

    def _start_missing(self) -> None:
        if self._closed:
            return
        if len(self._threads) < min(self.count, self._unfinished):
            worker = _Worker(next(self._names), self._waiting, self._finished)
            if _started(worker):
                self._threads.add(worker)
        if self._limit < _NEVER and not self._watched:
            self._watched = _started(threading.Thread(target=self._watch, daemon=True))

    def _finished(self) -> None:
        with self._lock:
            self._unfinished -= 1

    def _watch(self) -> None:
        """Look after the threads until no task is left.

        The time of a task is counted from the first look at it, so that tasks pay nothing for it.
        """
        seen: dict[_Worker, tuple[_Task, float]] = {}
        while True:
            time.sleep(min(_LOOK_EVERY, self._limit / 2))
            with self._lock:
                if self._closed or not self._unfinished:
                    self._watched = False
                    return
                busy = {thread: task for thread in self._threads if (task := thread.task)}
            for thread, task in busy.items():
                now = thread.seconds()
                before, begin = seen.get(thread, (None, now))
                if before is not task:
                    seen[thread] = task, now
                elif now - begin > self._limit and task.settle(task.overdue):
                    self._replace(thread)
            seen = {thread: seen[thread] for thread in busy}

    def _replace(self, thread: _Worker) -> None:
        with self._lock:
            self._threads.discard(thread)
            self._unfinished -= 1
            self._start_missing()
        thread.give_way()


class _Task(NamedTuple):
    function: Callable[[Any], Any]
    item: Any
    overdue: Callable[[Any], Any]
    future: Future[Any]

    def settle(self, function: Callable[[Any], Any]) -> bool:
        """Put into the future what a function makes of the item. False: it had a result before."""
        try:
            try:
                result = function(self.item)
            except BaseException as error:
                self.future.set_exception(error)
            else:
                self.future.set_result(result)
        except InvalidStateError:
            return False
        return True


class _Worker(threading.Thread):
    """A thread that takes tasks, until it gets None or the one it is at was given up."""

    def __init__(
        self, name: str, waiting: SimpleQueue[_Task | None], finished: Callable[[], None]
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._waiting = waiting
        self._finished = finished
        self.task: _Task | None = None
        self.seconds: Callable[[], float] = time.monotonic

    def run(self) -> None:
        if hasattr(time, "pthread_getcpuclockid"):
            clock = time.pthread_getcpuclockid(threading.get_ident())
            self.seconds = lambda: time.clock_gettime(clock)
        while task := self._waiting.get():
            if task.future.set_running_or_notify_cancel():
                self.task = task
                if not task.settle(task.function):
                    return
                self.task = None
            del task  # a thread that waits must not keep an image in memory
            self._finished()

    def give_way(self) -> None:
        """End by an exception where it is in Python, and leave the processors to the others."""
        thread, error = ctypes.c_ulong(self.ident or 0), ctypes.py_object(SystemExit)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, error)
        if sys.platform == "linux" and self.native_id:  # elsewhere threads have no priority
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self.native_id, _LOWEST_PRIORITY)


def _started(thread: threading.Thread) -> bool:
    try:
        thread.start()
    except RuntimeError:  # the system, or the user's limits, give no more
        return False
    return True


def _join(threads: Sequence[threading.Thread]) -> None:
    deadline = time.monotonic() + _PATIENCE_AT_EXIT
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
