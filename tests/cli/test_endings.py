"""How a run ends when it is not left in peace: signals, kills, full disks, two at once."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.command import COMMAND, lines, vggfeat
from vggfeat import load_features

ROW = 256 * 4  # bytes of one vector of the narrow network
HEADER = 4096
FIRST = [f"imgs/{number}.jpg" for number in range(200)]


@pytest.fixture(autouse=True)
def many_images(
    tmp_path: Path, samples: list[Path], narrow_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enough images for a run that can be caught in the middle: of the same pixels, but no two
    files are the same."""
    china = next(path for path in samples if path.name == "china.jpg")
    with Image.open(china) as image:
        image.reduce(4).save(tmp_path / "small.jpg")
    content = (tmp_path / "small.jpg").read_bytes()
    (tmp_path / "small.jpg").unlink()
    (tmp_path / "imgs").mkdir()
    for number in range(3000):
        (tmp_path / "imgs" / f"{number}.jpg").write_bytes(content + str(number).encode())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VGGFEAT_WEIGHTS", str(narrow_file))


def caught_in_the_middle(
    output: str = "f.npy", sigint: signal.Handlers = signal.SIG_DFL
) -> subprocess.Popen[bytes]:
    """A run that has written some rows and has many to go."""
    process = subprocess.Popen(
        [*COMMAND, "extract", "imgs", "-o", output, "--batch-size", "4"],
        stderr=subprocess.PIPE,
        # What starts these tests in the background has SIGINT ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, sigint),  # noqa: PLW1509
    )
    wait_for_rows(process, output, HEADER + 20 * ROW)
    return process


def wait_for_rows(process: subprocess.Popen[bytes], output: str, kept: int) -> None:
    """Until the run has written so many bytes, and is at work still."""
    part = Path(f"{output}.part")
    deadline = time.monotonic() + 60
    while not part.exists() or part.stat().st_size < kept:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)


def kept() -> int:
    """Rows that the next run, of the first hundreds of images, takes up. It has to be right."""
    vggfeat("extract", *FIRST, "-o", "f.npy")
    vectors, paths = load_features("f.npy")
    assert paths == FIRST
    assert (np.asarray(vectors) == vectors[0]).all()
    assert sorted(os.listdir()) == ["f.index.csv", "f.json", "f.npy", "imgs"]
    run = json.loads(Path("f.json").read_text())["runs"][-1]
    assert run["resumed"] + run["computed"] == len(FIRST)
    return int(run["resumed"])


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_by_that_signal_and_says_what_is_kept(signum: signal.Signals) -> None:
    process = caught_in_the_middle()
    process.send_signal(signum)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == -signum  # a shell shows 128 + the signal's number
    said = lines(stderr)
    assert said[-1] == f"vggfeat: interrupted by {signum.name}"
    assert not Path("f.npy").exists()
    assert sorted(os.listdir()) == ["f.npy.journal", "f.npy.part", "imgs"]
    (rows,) = re.findall(r"^vggfeat: ([\d,]+) rows are kept for the next run$", said[-2])
    told = min(int(rows.replace(",", "")), len(FIRST))
    # The batch at which it was caught may have been written already.
    assert 16 <= told <= kept() <= told + 4


def test_a_signal_that_was_ignored_before_stays_ignored() -> None:
    process = caught_in_the_middle(sigint=signal.SIG_IGN)
    process.send_signal(signal.SIGINT)
    wait_for_rows(process, "f.npy", kept=Path("f.npy.part").stat().st_size + 40 * ROW)
    process.kill()
    process.communicate()


def test_a_killed_run_leaves_the_old_output_and_the_next_run_is_whole() -> None:
    vggfeat("extract", "imgs/0.jpg", "-o", "f.npy")
    before = Path("f.npy").read_bytes()
    process = caught_in_the_middle()
    process.kill()
    process.communicate()
    assert Path("f.npy").read_bytes() == before
    vggfeat("extract", "imgs/0.jpg", "imgs/1.jpg", "-o", "f.npy")
    assert load_features("f.npy").paths == ["imgs/0.jpg", "imgs/1.jpg"]
    assert sorted(os.listdir()) == ["f.index.csv", "f.json", "f.npy", "imgs"]


def test_a_second_run_on_the_same_output_ends_with_75() -> None:
    process = caught_in_the_middle()
    process.send_signal(signal.SIGSTOP)  # it holds its lock, and leaves the processors to others
    done = vggfeat("extract", "imgs/0.jpg", "-o", "f.npy", code=75)
    assert lines(done.stderr)[-1].endswith(
        "f.npy: another vggfeat is writing it (--wait waits for it)"
    )
    assert process.poll() is None
    other = vggfeat("extract", "imgs/0.jpg", "-o", "other.npy")
    assert b"other.npy: fc7 of 1 image," in other.stderr
    process.kill()
    process.communicate()


def limit_file_size() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (HEADER + 100 * ROW, HEADER + 100 * ROW))


@pytest.mark.parametrize("output", ["f.npy", "f.csv"])
def test_an_output_that_grows_too_large_is_one_sentence(output: str) -> None:
    done = vggfeat("extract", "imgs", "-o", output, code=1, preexec_fn=limit_file_size)
    assert lines(done.stderr)[-2].endswith("rows are kept for the next run")
    assert lines(done.stderr)[-1].endswith(f"{output}.part: cannot be written: File too large")
    assert not Path(output).exists()
    if output == "f.npy":
        assert 80 <= kept() <= 100


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path.with_name(f"{tmp_path.name}.disk")
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", mount],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("no right to mount a small file system")
    yield mount
    subprocess.run(["umount", "--lazy", mount], check=True)


def test_a_full_disk_is_one_sentence_and_what_fits_is_kept(small_disk: Path) -> None:
    done = vggfeat("extract", "imgs", "-o", small_disk / "f.npy", code=1)
    assert lines(done.stderr)[-1].endswith("cannot be written: No space left on device")
    for name in ("f.npy.part", "f.npy.journal"):
        shutil.move(small_disk / name, name)
    assert kept() > 100


def test_a_full_stdout_is_one_sentence() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, "extract", "imgs/0.jpg", "-o", "-"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert lines(done.stderr) == ["vggfeat: stdout: cannot be written: No space left on device"]


def test_an_output_in_a_place_that_cannot_be_written_is_one_sentence() -> None:
    done = vggfeat("extract", "imgs/0.jpg", "-o", "/proc/f.npy", code=1)
    assert re.search("/proc/f.npy: (no file can be made|cannot be written)", lines(done.stderr)[-1])


def test_a_link_as_output_is_followed() -> None:
    Path("big").mkdir()
    Path("f.npy").symlink_to("big/g.npy")
    vggfeat("extract", "imgs/0.jpg", "-o", "f.npy")
    assert Path("f.npy").is_symlink()
    assert sorted(os.listdir("big")) == ["g.index.csv", "g.json", "g.npy"]
    assert load_features("f.npy").paths == ["imgs/0.jpg"]
    vggfeat("extract", "imgs/0.jpg", "-o", "f.npy")
