"""A pool whose tasks may hang."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from vggfeat.errors import Interrupted
from vggfeat.workers import Workers

LIMIT = 0.2  # seconds


@pytest.fixture
def workers() -> Iterator[Workers]:
    pool = Workers(2, LIMIT, "tested")
    yield pool
    pool.shutdown()


def threads(name: str = "tested") -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith(name)}


def until(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def overdue(item: object) -> str:
    return f"{item} is overdue"


def burn_in_c(seconds: float) -> str:
    """CPU time of this thread, spent where no exception reaches it, without Python's lock."""
    begin = time.thread_time()
    hashlib.pbkdf2_hmac("sha256", b"", b"", rounds := 200_000)
    rounds = int(rounds * seconds / (time.thread_time() - begin))
    hashlib.pbkdf2_hmac("sha256", b"", b"", rounds)
    return "late"


def burn_in_python(item: object) -> str:
    while True:
        pass


def test_results_and_errors_of_all_kinds_are_in_their_futures(workers: Workers) -> None:
    def task(item: object) -> object:
        if isinstance(item, BaseException):
            raise item
        return item

    items = [1, ValueError("a"), 2, Interrupted(15), SystemExit(3), KeyboardInterrupt(), 4]
    futures = [workers.submit(task, item, overdue) for item in items]
    assert [future.exception(20) or future.result() for future in futures] == items


def test_one_task_has_one_thread_and_many_have_no_more_than_were_asked_for() -> None:
    pool = Workers(3, LIMIT, "counted")
    assert not threads("counted")
    assert pool.submit(abs, -1, abs).result(20) == 1
    assert len(threads("counted")) == 1
    futures = [pool.submit(time.sleep, 0.01, time.sleep) for _ in range(30)]
    for future in futures:
        future.result(20)
    assert len(threads("counted")) == 3
    pool.shutdown()
    until(lambda: not threads("counted"))


def test_tasks_run_side_by_side(workers: Workers) -> None:
    both = threading.Barrier(2, timeout=20)
    futures = [workers.submit(lambda _: both.wait(), i, lambda _: -1) for i in range(2)]
    assert {future.result(20) for future in futures} == {0, 1}


def test_a_task_that_hangs_in_c_is_given_up_and_what_it_returns_is_dropped() -> None:
    pool = Workers(1, LIMIT, "hanging")
    hanging = pool.submit(burn_in_c, 1.5, overdue)
    after = pool.submit(lambda _: threading.current_thread(), "after", lambda _: None)
    (first,) = threads("hanging")
    assert hanging.result(20) == "1.5 is overdue"
    second = after.result(20)
    assert second is not first
    assert first.is_alive()  # it cannot be ended
    first.join(20)  # it has returned, and takes nothing more
    assert hanging.result() == "1.5 is overdue"
    assert threads("hanging") == {second}
    pool.shutdown()


def test_a_task_that_hangs_in_python_ends(workers: Workers) -> None:
    before = threads()
    assert workers.submit(burn_in_python, 7, overdue).result(20) == "7 is overdue"
    until(lambda: threads() <= before)


def test_all_threads_may_hang_and_others_take_their_places(workers: Workers) -> None:
    futures = [workers.submit(burn_in_python, number, overdue) for number in range(6)]
    assert [future.result(20) for future in futures] == [f"{n} is overdue" for n in range(6)]
    assert workers.submit(abs, -1, abs).result(20) == 1


def test_what_giving_up_raises_is_in_the_future(workers: Workers) -> None:
    def no_result(item: object) -> str:
        raise ValueError("none either")

    with pytest.raises(ValueError, match="none either"):
        workers.submit(burn_in_python, 7, no_result).result(20)


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="no clocks of threads")
def test_a_task_that_does_not_compute_is_not_overdue(workers: Workers) -> None:
    def wait(seconds: float) -> str:
        time.sleep(seconds)
        return "done"

    assert workers.submit(wait, 5 * LIMIT, overdue).result(20) == "done"


def test_without_a_limit_nothing_is_given_up_and_nothing_watches() -> None:
    before = set(threading.enumerate())
    pool = Workers(1, name="unlimited")
    begun, go_on = threading.Event(), threading.Event()

    def task(item: object) -> object:
        begun.set()
        go_on.wait(20)
        return item

    future = pool.submit(task, "done")
    assert begun.wait(20)
    assert set(threading.enumerate()) - before == threads("unlimited")
    go_on.set()
    assert future.result(20) == "done"
    pool.shutdown()


def test_many_short_tasks_are_no_long_one(workers: Workers) -> None:
    def short(item: int) -> str:
        begin = time.thread_time()
        while time.thread_time() - begin < LIMIT / 10:
            pass
        return "done"

    futures = [workers.submit(short, number, overdue) for number in range(50)]
    assert {future.result(20) for future in futures} == {"done"}


def test_nothing_watches_where_there_is_no_task() -> None:
    before = set(threading.enumerate())
    pool = Workers(1, LIMIT, "watched")
    for _ in range(2):
        assert pool.submit(abs, -1, abs).result(20) == 1
        until(lambda: set(threading.enumerate()) - before == threads("watched"))
    assert pool.submit(burn_in_python, 7, overdue).result(20) == "7 is overdue"
    pool.shutdown()


def test_the_shutdown_cancels_what_has_not_begun_and_waits_for_nothing() -> None:
    pool = Workers(1, 60, "ended")
    begun, go_on = threading.Event(), threading.Event()

    def task(item: object) -> str:
        begun.set()
        go_on.wait(20)
        return "done"

    running, waiting = (pool.submit(task, number, overdue) for number in range(2))
    assert begun.wait(20)
    pool.shutdown()
    pool.shutdown()
    assert waiting.cancelled()
    with pytest.raises(RuntimeError):
        pool.submit(task, 3, overdue)
    assert not running.done()
    go_on.set()
    assert running.result(20) == "done"
    until(lambda: not threads("ended"))


def process(
    task: str, after: str, pool: str = "Workers(1, 0.2)"
) -> subprocess.CompletedProcess[bytes]:
    """What a process does that ends with code 5 while a task is running."""
    program = f"""
import hashlib, sys, time
from vggfeat.workers import Workers
def task(item):
    {task}
pool = {pool}
future = pool.submit(task, 1, lambda item: "overdue")
{after}
pool.shutdown()
sys.exit(5)
"""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, check=False, timeout=60)


def test_a_process_ends_although_a_task_hangs() -> None:
    hang = "hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)"
    begin = time.monotonic()
    done = process(hang, "print(future.result(20))")
    assert (done.returncode, done.stdout, done.stderr) == (5, b"overdue\n", b"")
    assert time.monotonic() - begin < 30


def test_a_process_ends_after_the_tasks_that_are_running() -> None:
    done = process("time.sleep(1); print('done', flush=True)", "time.sleep(0.5)")
    assert (done.returncode, done.stdout, done.stderr) == (5, b"done\n", b"")


def test_a_process_does_not_wait_for_tasks_without_a_limit() -> None:
    begin = time.monotonic()
    done = process("time.sleep(30)", "time.sleep(0.2)", "Workers(1)")
    assert (done.returncode, done.stdout, done.stderr) == (5, b"", b"")
    assert time.monotonic() - begin < 4


def test_a_thread_that_waits_holds_no_item(workers: Workers) -> None:
    class Item:
        def __del__(self) -> None:
            gone.set()

    gone = threading.Event()
    workers.submit(lambda item: None, Item(), lambda item: None).result(20)
    assert gone.wait(20)
