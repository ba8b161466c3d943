"""The promises of the README's section "In cron": a test for each, named after it."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.command import COMMAND, lines, vggfeat
from tests.crash.spec import Fault
from tests.crash.trial import Bench, Cut
from vggfeat import load_features

README = Path(__file__).parents[2] / "README.md"
OLD = 1_600_000_000  # seconds: a time at which no run has begun


@pytest.fixture(autouse=True)
def settled(tmp_path: Path, narrow_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VGGFEAT_WEIGHTS", str(narrow_file))
    for number in range(12):
        picture(f"imgs/{number}.png", number)


def picture(name: str, seed: int) -> None:
    """A file that has been there for long."""
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
    Path(name).parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(name)
    os.utime(name, (OLD + seed, OLD + seed))


def last_run() -> dict[str, int]:
    run: dict[str, int] = json.loads(Path("f.json").read_text())["runs"][-1]
    return run


def from_scratch() -> list[bytes]:
    """What an undisturbed run gives: vectors, index and failures."""
    Path("scratch").mkdir()
    done = subprocess.run(
        [*COMMAND, "extract", "imgs", "-o", "scratch/f.npy", "-q"], capture_output=True, check=False
    )
    assert done.returncode in (0, 3), done.stderr
    result = content(Path("scratch"))
    shutil.rmtree("scratch")
    return result


def content(folder: Path = Path()) -> list[bytes]:
    names = [folder / f"f{end}" for end in (".npy", ".index.csv", ".failed.csv")]
    return [name.read_bytes() if name.exists() else b"" for name in names]


def caught(*options: str) -> subprocess.Popen[bytes]:
    """A run that has begun and has much to do."""
    for number in range(1000, 2000):
        picture(f"imgs/{number}.png", number)
    process = subprocess.Popen(
        [*COMMAND, "extract", "imgs", "-o", "f.npy", "--batch-size", "4", *options],
        stderr=subprocess.PIPE,
    )
    while not Path("f.npy.journal").exists() or Path("f.npy.journal").stat().st_size < 4000:
        assert process.poll() is None
        time.sleep(0.01)
    return process


def test_the_result_is_that_of_an_undisturbed_run_from_scratch_at_the_cost_of_the_new_and_changed_images_alone() -> (
    None
):
    vggfeat("extract", "imgs", "-o", "f.npy")
    picture("imgs/5b.png", 100)
    picture("imgs/7.png", 101)
    Path("imgs/3.png").unlink()
    Path("imgs/1.png").rename("imgs/20.png")
    vggfeat("extract", "imgs", "-o", "f.npy")
    assert (last_run()["computed"], last_run()["kept"]) == (2, 10)
    assert content() == from_scratch()
    vggfeat("extract", "imgs", "-o", "f.npy")
    assert last_run()["computed"] == 0
    assert content() == from_scratch()


def test_a_kill_a_power_cut_or_a_full_disk_loses_no_more_than_the_batch_in_flight_and_the_next_run_goes_on_from_there(
    bench: Bench,
) -> None:
    process = caught("--batch-size", "8")
    process.kill()
    process.communicate()
    told = Path("f.npy.journal").read_bytes().count(b"\n") - 1
    for number in range(1100, 2000):
        Path(f"imgs/{number}.png").unlink()
    vggfeat("extract", "imgs", "-o", "f.npy")
    assert min(told, 112) - 8 <= last_run()["resumed"] <= 112
    assert last_run()["resumed"] + last_run()["computed"] == 112
    assert content() == from_scratch()

    # Power cuts and full disks, in a layer between vggfeat and the system.
    shown = bench.scene("middle", "feats.npy")
    for part in range(1, 4):
        at = part * len(shown.calls) // 4
        for fault, power in ((Fault("kill-after", at), True), (Fault("ENOSPC", at, True), False)):
            output = bench.start(shown)
            bench.cut(shown, output, Cut(fault, 0.0, power), random.Random(part))
            bench.rerun(shown, output, all_kept=not power)


def test_who_reads_the_output_sees_the_old_one_or_the_new_one_whole_never_a_mix_of_them() -> None:
    vggfeat("extract", "imgs", "-o", "f.npy")
    vectors, paths = load_features("f.npy")
    known = dict(zip(paths, vectors.tolist(), strict=True))
    ended = threading.Event()
    seen = set()

    def read() -> None:
        while not ended.is_set():
            vectors, paths = load_features("f.npy")
            seen.add(tuple(paths))
            for path, vector in zip(paths, vectors.tolist(), strict=True):
                assert known.setdefault(path, vector) == vector

    reader = threading.Thread(target=read)
    reader.start()
    for step in range(4):
        if step % 2:
            Path(f"imgs/{step}.png").unlink()
        picture(f"imgs/{20 if step % 2 else 0}{step}.png", 50 + step)
        vggfeat("extract", "imgs", "-o", "f.npy")
    ended.set()
    reader.join()
    assert len(seen) >= 4


def test_a_second_run_on_the_same_output_ends_with_75_or_waits_with_wait_and_the_lock_of_a_dead_run_blocks_nobody() -> (
    None
):
    first = caught()
    said = lines(vggfeat("extract", "imgs", "-o", "f.npy", code=75).stderr)
    assert len(said) == 1
    assert "another vggfeat is writing it" in said[0]
    waiting = subprocess.Popen(
        [*COMMAND, "extract", "imgs/1.png", "-o", "f.npy", "--wait"], stderr=subprocess.PIPE
    )
    assert waiting.stderr is not None
    assert b"waiting for another vggfeat" in waiting.stderr.readline()
    first.kill()
    first.communicate()
    waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert load_features("f.npy").paths == ["imgs/1.png"]
    Path(".f.lock").write_text("4194304\nanother host\n")
    vggfeat("extract", "imgs/1.png", "imgs/2.png", "-o", "f.npy")
    assert sorted(os.listdir()) == ["f.index.csv", "f.json", "f.npy", "imgs"]


def test_a_bad_image_costs_itself_alone_is_listed_with_its_reason_and_is_tried_again_when_it_changes() -> (
    None
):
    whole = Path("imgs/4.png").read_bytes()
    for name, data in (("cut.png", whole[:-40]), ("empty.png", b""), ("text.png", b"hello")):
        Path("imgs", name).write_bytes(data)
        os.utime(f"imgs/{name}", (OLD, OLD))
    Path("imgs/gone.png").symlink_to("nowhere")
    vggfeat("extract", "imgs", "-o", "f.npy", code=3)
    with open("f.failed.csv", newline="") as file:
        reasons = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert reasons["imgs/empty.png"] == "the file is empty"
    assert reasons["imgs/gone.png"] == "No such file or directory"
    assert len(reasons) == 4
    assert len(load_features("f.npy").paths) == 12

    foreseen = lines(vggfeat("extract", "imgs", "-o", "f.npy", "-n").stdout)
    assert [line.split() for line in foreseen] == [["failed", "before", "imgs/gone.png"]]
    Path("imgs/cut.png").write_bytes(whole + b"whole again")
    vggfeat("extract", "imgs", "-o", "f.npy", code=3)
    assert "imgs/cut.png" in load_features("f.npy").paths
    assert content() == from_scratch()


def test_each_promise_has_its_test() -> None:
    section = README.read_text().partition("## In cron")[2].partition("\n## ")[0]
    promises = re.findall(r"^\d\. (.*)$", section, re.M)
    assert len(promises) == 5
    for promise in promises:
        name = "test_" + "_".join(re.findall(r"\w+", promise.lower()))
        assert name in globals(), name
