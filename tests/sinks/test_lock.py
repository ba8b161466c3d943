"""One output has one writer."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.sinks.outputs import TWO_LAYERS, Run, rows
from vggfeat import VggfeatError
from vggfeat.errors import EXIT_BUSY, OutputBusyError
from vggfeat.sinks.lock import OutputLock, locked

HOLD = """
import sys
from pathlib import Path
from vggfeat.sinks.lock import OutputLock
with OutputLock(Path(sys.argv[1]), wait=False, on_wait=print):
    print("held", flush=True)
    sys.stdin.read()
"""


def lock(
    output: Path, *, wait: bool = False, on_wait: Callable[[str], None] = lambda message: None
) -> OutputLock:
    return OutputLock(output, wait=wait, on_wait=on_wait)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "f.npy"


def holder(output: Path) -> subprocess.Popen[bytes]:
    """Another process that holds the lock until its stdin ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, output], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_second_writer_is_sent_away_and_leaves_the_first_its_lock(output: Path) -> None:
    with lock(output):
        for _ in range(2):
            with pytest.raises(
                OutputBusyError, match=f"^{output}: another vggfeat is writing it"
            ) as caught:
                lock(output)
            assert caught.value.exit_code == EXIT_BUSY == 75
    assert list(output.parent.iterdir()) == []
    with lock(output):
        pass


def test_outputs_of_other_names_do_not_wait_for_each_other(output: Path) -> None:
    with lock(output), lock(output.with_name("g.npy")):
        pass
    assert list(output.parent.iterdir()) == []


def test_the_lock_file_of_a_dead_process_blocks_nobody(output: Path) -> None:
    with holder(output) as process:
        with pytest.raises(OutputBusyError):
            lock(output)
        process.kill()
    (left,) = output.parent.iterdir()
    assert left.name.startswith(".f.")
    with lock(output):
        assert left.exists()
    assert not left.exists()


def test_who_waits_says_so_once_and_has_the_lock_afterwards(output: Path) -> None:
    said: list[str] = []
    with holder(output) as process:
        assert process.stdin is not None
        timer = threading.Timer(0.5, process.stdin.close)
        timer.start()
        began = time.monotonic()
        with lock(output, wait=True, on_wait=said.append):
            assert time.monotonic() - began > 0.3
            assert said == [f"{output}: waiting for another vggfeat that is writing it"]
            with pytest.raises(OutputBusyError):
                lock(output)
        timer.join()
        process.stdin = None
    assert list(output.parent.iterdir()) == []


def test_who_need_not_wait_says_nothing(output: Path) -> None:
    said: list[str] = []
    with lock(output, wait=True, on_wait=said.append):
        assert said == []


def test_a_run_that_is_about_to_end_is_waited_for_a_moment(output: Path) -> None:
    first = lock(output)
    first.__enter__()
    timer = threading.Timer(0.1, first.__exit__)
    timer.start()
    with lock(output):
        timer.join()
        with pytest.raises(OutputBusyError):
            lock(output)


def take_turns(output: Path, turns: int) -> None:
    """Hold the lock time and again, each time alone."""
    inside = output.with_name("inside")
    for _ in range(turns):
        with lock(output, wait=True):
            inside.touch(exist_ok=False)
            inside.unlink()


def test_nobody_has_the_lock_of_a_file_that_has_vanished(output: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    processes = [context.Process(target=take_turns, args=(output, 50)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert list(output.parent.iterdir()) == []


def test_a_lock_file_that_is_gone_already_is_no_error(output: Path) -> None:
    with lock(output):
        for path in output.parent.iterdir():
            path.unlink()


def test_it_ends_with_an_error_inside(output: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock(output):
        raise ZeroDivisionError
    assert list(output.parent.iterdir()) == []


def test_a_place_where_no_file_can_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VggfeatError, match="f.npy: ") as caught:
        lock(tmp_path / "file" / "f.npy")
    assert not isinstance(caught.value, OutputBusyError)


@pytest.mark.parametrize("name", ["f.npy", "f.fc7.npy", "f.pool5.avg.npy", "f.pool5.avg.csv"])
def test_files_of_layers_have_one_writer_too(output: Path, name: str) -> None:
    def layers() -> AbstractContextManager[None]:
        return locked(output, ["fc7", "pool5:avg"], wait=False, on_wait=print)

    other = output.with_name(name)
    busy = f"^{other}: another vggfeat is writing it"
    with layers(), pytest.raises(OutputBusyError, match=busy):
        lock(other)
    stem = other.with_suffix("")
    with lock(other), pytest.raises(OutputBusyError, match=f"^{stem}.npy: another"), layers():
        pass
    assert list(output.parent.iterdir()) == []


def test_files_of_layers_without_a_suffix_share_the_lock_of_their_output(output: Path) -> None:
    with locked(output.with_suffix(""), ["fc7", "pool5"], wait=False, on_wait=print):
        assert [path.name for path in output.parent.iterdir()] == [".f.lock"]


def test_files_of_layers_that_a_run_would_remove_have_one_writer_too(output: Path) -> None:
    Run(output, rows([0]), layers=TWO_LAYERS).publish()
    with locked(output, ["fc7"], wait=False, on_wait=print), pytest.raises(OutputBusyError):
        lock(output.with_name("f.fc7.npy"))
    Run(output, rows([0])).publish()  # and may die before it has removed them
    with locked(output, ["fc7"], wait=False, on_wait=print), pytest.raises(OutputBusyError):
        lock(output.with_name("f.fc7.npy"))
