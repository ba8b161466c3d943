"""A bad image costs its own row, and is tried again only when it may have become another."""

from __future__ import annotations

import csv
import ctypes
import errno
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import lines, vggfeat
from tests.cli.test_incremental import (
    FUTURE,
    IMAGES,
    check_like_from_scratch,
    files,
    images,
    picture,
    put,
    put_junk,
    run,
)
from vggfeat import VggfeatError, load_features

__all__ = ["images"]  # the fixture, which every test here starts from


def failed() -> dict[str, tuple[str, bool]]:
    """The reason of each failure, and whether it counts until the file changes."""
    with open("f.failed.csv", encoding="utf-8", newline="") as file:
        return {row["path"]: (row["reason"], row["size"] != "") for row in csv.DictReader(file)}


def published() -> list[str]:
    return sorted(name for name in os.listdir() if os.path.isfile(name))


LASTING = {
    "a, one.ppm": (b"junk", "not an image, or of a format that is not supported"),
    "empty.png": (b"", "the file is empty"),
    "cut.ppm": (picture(1)[:50], "damaged or cut short: "),
    "phone.heic": (b"\0\0\0\x18ftypheic", "HEIC is not supported; convert it to JPEG first"),
    "bomb.ppm": (b"P6 20000 20000 255\n", "too large: "),
}


def test_each_bad_image_is_listed_with_its_reason_and_stamp() -> None:
    for name, (content, _) in LASTING.items():
        Path("imgs", name).write_bytes(content)
    assert run().failed == len(LASTING)
    for name, (_, reason) in LASTING.items():
        told, lasts = failed()[f"imgs/{name}"]
        assert told.startswith(reason)
        assert lasts
    assert load_features("f.npy").paths == IMAGES


def test_a_bad_image_is_tried_again_only_when_it_has_changed() -> None:
    Path("imgs/bad.ppm").write_bytes(bytes(len(picture(5))))
    os.utime("imgs/bad.ppm", (1, 1))
    run()
    before = files()
    Path("imgs/bad.ppm").write_bytes(picture(5))
    os.utime("imgs/bad.ppm", (1, 1))
    assert run().failed == 1
    assert files()["f.failed.csv"] == before["f.failed.csv"]
    os.utime("imgs/bad.ppm", (2, 2))
    assert run().computed == 1
    assert published() == ["f.index.csv", "f.json", "f.npy"]


def test_a_bad_image_whose_stamp_was_fresh_is_tried_again() -> None:
    for content, count in ((bytes(len(picture(5))), 1), (picture(5), 0)):
        Path("imgs/bad.ppm").write_bytes(content)
        os.utime("imgs/bad.ppm", ns=(FUTURE, FUTURE))
        assert run().failed == count


@pytest.mark.skipif(sys.platform != "linux", reason="it has its own files that cannot be read")
def test_what_may_pass_is_tried_in_every_run() -> None:
    Path("imgs/dangling.ppm").symlink_to("nowhere.ppm")
    Path("imgs/eio.ppm").symlink_to("/proc/self/mem")
    Path("imgs/loop.ppm").symlink_to("loop.ppm")
    os.mkfifo("fifo")
    Path("imgs/fifo.ppm").symlink_to("../fifo")
    expected = {
        "imgs/dangling.ppm": ("No such file or directory", False),
        "imgs/eio.ppm": (os.strerror(errno.EIO), False),
        "imgs/fifo.ppm": ("not a regular file", False),
        "imgs/loop.ppm": (os.strerror(errno.ELOOP), False),
        "fifo": ("not a regular file", False),
    }
    vggfeat("extract", "imgs", "fifo", "-o", "f.npy", code=3)
    assert failed() == expected
    done = vggfeat("extract", "imgs", "fifo", "-o", "f.npy", "--dry-run")
    assert lines(done.stdout) == [f"failed before  {path}" for path in expected]
    put("imgs/nowhere.ppm", 7)
    report = run("imgs", "fifo")
    assert (report.rows, report.failed) == (5, 4)


def powerless() -> None:
    """Permissions count from here on, for root too."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability)  # PR_CAPBSET_DROP


@pytest.mark.skipif(sys.platform != "linux", reason="root can read everything")
def test_what_may_not_be_read_fails_until_it_may() -> None:
    put("imgs/closed/2.ppm", 2)
    run(*IMAGES)
    os.chmod(IMAGES[0], 0)
    os.chmod("imgs/closed", 0)
    for _ in range(2):
        vggfeat("extract", "imgs", "-o", "g.npy", code=3, preexec_fn=powerless)
        assert lines(Path("g.failed.csv").read_bytes())[1:] == [
            "imgs/1.ppm,Permission denied,,",
            "imgs/closed,the folder cannot be listed: Permission denied,,",
        ]
    os.chmod(IMAGES[0], 0o644)
    os.chmod("imgs/closed", 0o755)
    vggfeat("extract", "imgs", "-o", "g.npy", preexec_fn=powerless)


def test_a_folder_that_cannot_be_listed_any_more_does_not_take_its_rows_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def scandir(path: str) -> Any:
        if path == "imgs/sub":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path)

    put("imgs/sub/2.ppm", 2)
    run()
    before, real = files(), os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(VggfeatError, match="^imgs/sub: cannot be looked into: Input/output err"):
        run()
    assert files() == before
    report = run(fresh=True)
    assert (report.rows, report.failed) == (3, 1)


@pytest.mark.parametrize(
    ("link", "inputs"), [("imgs/sub", ["imgs"]), ("link", ["link"]), ("link", ["link", "imgs"])]
)
def test_nor_does_a_link_to_a_folder_whose_disk_is_gone(link: str, inputs: list[str]) -> None:
    put("disk/2.ppm", 2)
    Path(link).symlink_to(os.path.abspath("disk"))
    run(*inputs)
    before = files()
    os.rename("disk", "away")
    with pytest.raises(VggfeatError, match=f"^{link}: "):
        run(*inputs)
    assert files() == before


def test_an_image_that_changes_while_it_is_read_fails_and_is_never_half_of_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, looks = os.fstat, itertools.count(1)

    def fstat(fd: int) -> os.stat_result:
        if os.path.samestat(real(fd), os.stat(IMAGES[1])) and next(looks) == 2:
            put(IMAGES[1], 33)
        return real(fd)

    monkeypatch.setattr(os, "fstat", fstat)
    assert run().failed == 1
    assert failed() == {IMAGES[1]: ("it changed while it was read", False)}
    assert run().computed == 1
    check_like_from_scratch()


def test_a_known_failure_ends_a_strict_run_and_all_stays() -> None:
    put_junk("imgs/bad.ppm")
    run()
    before = files()
    put("imgs/0.ppm", 0)
    with pytest.raises(VggfeatError, match=r"^imgs/bad.ppm: not an image.* \(--strict\)$"):
        run(strict=True)
    assert files() == before


def hostile(*args: str, code: int, seconds: int = 60) -> subprocess.CompletedProcess[bytes]:
    """The command with decoders that execute the images, a process of which may take so long."""
    program = (
        "import sys, hashlib, tests.test_apart, vggfeat.apart, vggfeat.cli, vggfeat.run\n"
        "tests.test_apart.hashlib = hashlib\n"
        "vggfeat.run.preprocessing = lambda *asked: tests.test_apart.Hostile()\n"
        f"vggfeat.apart.SECONDS = {seconds}\n"
        "vggfeat.cli.main()"
    )
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-c", program, "extract", *args],
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


def put_code(path: str, code: str) -> None:
    Path(path).write_text(code)
    os.utime(path, (1, 1))


@pytest.fixture
def harmless() -> list[str]:
    for path in IMAGES:
        put_code(path, f"'{path}'")
    return IMAGES


def test_a_decoder_that_crashes_ends_one_run_and_costs_its_image_in_the_next(
    harmless: list[str],
) -> None:
    put_code("imgs/2.ppm", "ctypes.string_at(0)")
    hostile("imgs", "-o", "f.npy", "--workers", "2", "--batch-size", "1", code=-11)
    assert ".f.npy.decoding" in published()
    hostile("imgs", "-o", "f.npy", code=3)
    assert failed() == {"imgs/2.ppm": ("its decoder crashed (SIGSEGV)", True)}
    assert load_features("f.npy").paths == harmless
    assert published() == ["f.failed.csv", "f.index.csv", "f.json", "f.npy"]
    hostile("imgs", "-o", "f.npy", code=3)  # where it is not tried again


def test_a_decoder_that_hangs_costs_its_image_only(harmless: list[str]) -> None:
    put_code("imgs/2.ppm", "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)")
    hostile("imgs", "-o", "f.npy", code=3, seconds=1)
    ((path, (reason, lasts)),) = failed().items()
    assert (path, lasts) == ("imgs/2.ppm", True)
    assert reason.startswith("decoding it took longer than")
    assert load_features("f.npy").paths == harmless
    assert published() == ["f.failed.csv", "f.index.csv", "f.json", "f.npy"]
