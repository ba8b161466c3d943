"""The harness itself: it kills where it is told to, and its power cuts find what was not synced."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.crash import journal, scene
from tests.crash.server import ROOT

OLD, NEW = b"old" * 500, b"new" * 1000

CARELESS = """
    fd = os.open("f.new", os.O_WRONLY | os.O_CREAT)
    os.write(fd, NEW)
    os.replace("f.new", "f")
"""
CAREFUL = """
    fd = os.open("f.new", os.O_WRONLY | os.O_CREAT)
    os.write(fd, NEW)
    os.fsync(fd)
    os.replace("f.new", "f")
    os.fsync(os.open(".", os.O_RDONLY))
"""
ORDERED = """
    for name in "f", "g":
        fd = os.open(name + ".new", os.O_WRONLY | os.O_CREAT)
        os.write(fd, NEW)
        os.fsync(fd)
        os.replace(name + ".new", name)
        os.fsync(os.open(".", os.O_RDONLY))
"""
TWO = """
    for name in "f", "g":
        fd = os.open(name + ".new", os.O_WRONLY | os.O_CREAT)
        os.write(fd, NEW)
        os.fsync(fd)
        os.replace(name + ".new", name)
"""


def run(folder: Path, program: str, spec: str) -> int:
    """Run lines of Python in a folder that holds `f`, with faults; the exit code."""
    (folder / "f").write_bytes(OLD)
    lines = (
        "import os, sys; from pathlib import Path; from tests.crash.layer import Layer;"
        f"from tests.crash.spec import parse; NEW = {NEW!r};"
        f"os.chdir({str(folder)!r}); Layer(Path(), parse({spec!r})).install()"
        + program.replace("\n    ", "\n")
    )
    return subprocess.run([sys.executable, "-c", lines], cwd=ROOT, check=False).returncode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    return made


@pytest.mark.parametrize(
    ("spec", "left"),
    [
        ("kill-before@2", {"f": OLD, "f.new": b""}),
        ("kill-amid@2", {"f": OLD, "f.new": NEW[:1500]}),
        ("kill-after@2", {"f": OLD, "f.new": NEW}),
        ("kill-before@3", {"f": OLD, "f.new": NEW}),
        ("kill-after@3", {"f": NEW}),
    ],
)
def test_it_kills_where_it_is_told_to(folder: Path, spec: str, left: dict[str, bytes]) -> None:
    assert run(folder, CARELESS, spec) == -signal.SIGKILL
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == left


def test_an_error_comes_once_or_from_then_on(folder: Path) -> None:
    program = CARELESS.replace("os.write", "\ntry: os.write(fd, NEW)\nexcept OSError: os.write")
    assert run(folder, program, "EIO@2") == 0
    assert run(folder, program, "EIO@2+") == 1


def left_by_power_cuts(folder: Path, program: str, kill: str = "-") -> Sequence[dict[str, bytes]]:
    place = folder.parent / "journal"
    place.mkdir()
    run(folder, program, f"journal={place},{kill}")
    scene.copy(folder, folder.parent / "end")
    left = []
    for seed in range(60):
        scene.copy(folder.parent / "end", folder)
        journal.cut_power(place, folder, random.Random(seed))
        left.append({path.name: path.read_bytes() for path in folder.iterdir()})
    return left


def test_a_power_cut_tears_what_was_not_synced(folder: Path) -> None:
    left = [found["f"] for found in left_by_power_cuts(folder, CARELESS)]
    assert OLD in left
    assert NEW in left
    assert b"" in left
    assert any(0 < len(found) < len(NEW) for found in left)


def test_a_power_cut_spares_what_was_synced(folder: Path) -> None:
    assert all(found == {"f": NEW} for found in left_by_power_cuts(folder, CAREFUL))


def test_a_power_cut_may_disorder_names_that_were_not_synced(folder: Path) -> None:
    left = left_by_power_cuts(folder, TWO)
    for survived in ({"f": OLD}, {"f": NEW}, {"f": NEW, "g": NEW}, {"f": OLD, "g": NEW}):
        assert survived in left


def test_a_power_cut_keeps_the_order_of_names_that_were_synced(folder: Path) -> None:
    left = left_by_power_cuts(folder, ORDERED, "kill-after@9")  # the second replace
    assert {"f": NEW, "g": NEW} in left
    assert {"f": NEW, "g.new": NEW} in left
    assert all(found["f"] == NEW for found in left)


def test_what_writes_past_os_is_found(folder: Path) -> None:
    assert run(folder, "\nPath('g').write_bytes(b'')", "-") == 1
    assert os.listdir(folder) == ["f"]
