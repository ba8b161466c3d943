"""The file that names the images over which a process may have died."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_apart import Hostile
from vggfeat.apart import preprocess_apart
from vggfeat.errors import ImageError
from vggfeat.suspects import Suspects

NAMES = st.binary(min_size=1, max_size=4095).filter(lambda b: b"\0" not in b).map(os.fsdecode)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".f.npy.decoding"


BEGUN: list[AbstractContextManager[None]] = []


def begin(suspects: Suspects, name: str) -> None:
    """Decode an image without end."""
    BEGUN.append(suspects.decoding(name))
    BEGUN[-1].__enter__()


def dies(path: Path, code: str) -> None:
    """A process that has the suspects of a path and dies over `code`."""
    program = f"""
import ctypes, os, signal
from pathlib import Path
from vggfeat.suspects import Suspects
suspects = Suspects(Path({str(path)!r}))
with suspects.decoding("done before.jpg"):
    pass
{code}
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode < 0, done.stderr


def names(path: Path) -> frozenset[str]:
    """What a later process finds."""
    return Suspects(path).names


@pytest.mark.parametrize(
    "death", ["ctypes.string_at(0)", "os.kill(os.getpid(), signal.SIGKILL)"], ids=["crash", "kill"]
)
def test_what_was_being_decoded_at_a_death_is_suspected(path: Path, death: str) -> None:
    dies(path, f"with suspects.decoding('a.jpg'), suspects.decoding('b.jpg'):\n    {death}")
    assert names(path) == {"a.jpg", "b.jpg"}


def test_a_decoder_that_killed_a_process_costs_its_image_in_the_next(path: Path) -> None:
    dies(path, "with suspects.decoding('a.jpg'):\n    ctypes.string_at(0)")
    suspects = Suspects(path)
    assert "a.jpg" in suspects.names
    with suspects.decoding("a.jpg"), pytest.raises(ImageError, match="decoder crashed"):
        preprocess_apart(b"ctypes.string_at(0)", Hostile())
    suspects.close(decided=True)
    assert names(path) == frozenset()


def test_nothing_is_suspected_after_an_orderly_end(path: Path) -> None:
    suspects = Suspects(path)
    with suspects.decoding("a.jpg"):
        assert path.exists()
    suspects.close(decided=True)
    suspects.close(decided=True)
    assert not path.exists()
    assert names(path) == frozenset()


def test_suspects_are_remembered_over_deaths_until_an_orderly_end(path: Path) -> None:
    for number in range(5):
        suspects = Suspects(path)
        begin(suspects, f"{number}.jpg")
        with suspects.decoding("harmless.jpg"):
            pass
    suspects = Suspects(path)
    assert suspects.names == {f"{number}.jpg" for number in range(5)}
    with suspects.decoding("0.jpg"):
        pass
    assert names(path) == suspects.names
    suspects.close(decided=True)
    assert names(path) == frozenset()


def test_the_file_grows_by_suspects_only(path: Path) -> None:
    for number in range(3):
        suspects = Suspects(path)
        for _ in range(100):
            with suspects.decoding("harmless.jpg"):
                pass
        begin(suspects, f"{number}.jpg")
    assert names(path) == {"0.jpg", "1.jpg", "2.jpg"}
    assert path.stat().st_size <= 3 * 4096


@given(inside=st.lists(NAMES, max_size=4), before=st.lists(NAMES, max_size=4))
@settings(max_examples=40, deadline=None)
def test_names_may_hold_any_bytes(
    tmp_path_factory: pytest.TempPathFactory, inside: list[str], before: list[str]
) -> None:
    path = tmp_path_factory.mktemp("suspects") / "decoding"
    suspects = Suspects(path)
    for name in before:
        with suspects.decoding(name):
            assert name in names(path)
    for name in inside:
        begin(suspects, name)
    assert names(path) == set(inside)


@pytest.mark.parametrize("name", ["x" * 5000, "\ud800.jpg", "a\0b.jpg", ""], ids=ascii)
def test_a_name_that_no_file_has_does_no_harm(path: Path, name: str) -> None:
    suspects = Suspects(path)
    with suspects.decoding(name), suspects.decoding("a.jpg"):
        assert "a.jpg" in names(path)
    assert names(path) == frozenset()


def test_each_thread_has_a_slot_of_its_own(path: Path) -> None:
    suspects = Suspects(path)
    inside = threading.Barrier(9, timeout=20)

    def decode(thread: int) -> None:
        for number in range(300):
            with suspects.decoding(f"{thread} {number} {'long' * (number % 7)}"):
                pass
        with suspects.decoding(f"last of {thread}"):
            inside.wait()
            inside.wait()

    threads = [threading.Thread(target=decode, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    inside.wait()
    assert names(path) == {f"last of {number}" for number in range(8)}
    inside.wait()
    for thread in threads:
        thread.join()
    assert names(path) == frozenset()


def test_a_block_that_ends_after_the_end_writes_nowhere(path: Path) -> None:
    suspects = Suspects(path)
    with suspects.decoding("a.jpg"):
        suspects.close(decided=True)
        with open(path.with_name("other"), "w+b") as other:  # has the number of the closed file
            other.write(b"content")
    with suspects.decoding("b.jpg"):
        pass
    assert path.with_name("other").read_bytes() == b"content"
    assert not path.exists()


@pytest.mark.parametrize(
    "garbage", [b"garbage" * 100_000, bytes(5000), b"\0" * 20_000_000, b"torn"], ids=len
)
def test_garbage_does_no_harm(path: Path, garbage: bytes) -> None:
    path.write_bytes(garbage)
    suspects = Suspects(path)
    with suspects.decoding("a.jpg"):
        assert "a.jpg" in names(path)
    suspects.close(decided=True)
    assert not path.exists()


def works(suspects: Suspects) -> None:
    assert suspects.names == frozenset()
    with suspects.decoding("a.jpg"):
        pass
    suspects.close(decided=True)


def test_nothing_is_recorded_where_there_is_no_path() -> None:
    works(Suspects(None))


@pytest.mark.parametrize("obstacle", ["no folder", "a folder", "a fifo", "a link"])
def test_a_file_that_cannot_be_had_is_no_error(path: Path, obstacle: str) -> None:
    target = path.with_name("target")
    target.write_bytes(b"content")
    if obstacle == "no folder":
        path = path.parent / "nowhere" / "decoding"
    elif obstacle == "a folder":
        path.mkdir()
    elif obstacle == "a fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("target")
    works(Suspects(path))
    assert target.read_bytes() == b"content"


def test_a_full_disk_is_no_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suspects = Suspects(path)

    def full(fd: int, data: bytes, offset: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    works(suspects)
    assert not path.exists()


def test_who_is_suspected_stays_so_until_it_is_decided(path: Path) -> None:
    path.write_bytes(b"culprit.jpg\0")
    Suspects(path).close(decided=False)
    assert names(path) == {"culprit.jpg"}
    Suspects(path).close(decided=True)
    assert not path.exists()


def test_an_end_without_suspects_leaves_nothing(path: Path) -> None:
    Suspects(path).close(decided=False)
    assert not path.exists()
