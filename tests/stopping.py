"""Runs that are stopped: each in a process of its own, forked where there are no threads."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from vggfeat.errors import Interrupted

Run = Callable[..., Any]


@contextlib.contextmanager
def stopping(run: Run) -> Iterator[Connection]:
    """What takes a folder, how to stop, and arguments of a run, and gives its exit code.

    Args:
        run: what is called with these arguments, a function of a module.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_do, args=(there, run), daemon=True)
    process.start()
    yield here
    process.kill()
    process.join()


def _do(jobs: Connection, run: Run) -> None:
    while True:
        folder, stop, args = jobs.recv()
        child = os.fork()
        if child == 0:
            os.chdir(folder)
            with stop.prepared(), contextlib.suppress(Interrupted):
                run(*args, batch_size=1)
            os._exit(0)
        jobs.send(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
