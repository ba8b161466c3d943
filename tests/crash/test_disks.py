"""Real file systems that are full, small, read-only, or others than that of the images."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash import check
from tests.crash.scene import Scene, copy
from tests.crash.server import ROOT, Ended
from tests.crash.trial import Bench, check_error
from vggfeat import load_features


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 1 MB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a file system")
    yield mount
    subprocess.run(["umount", "--lazy", mount], check=True)


def remount(disk: Path, *options: str) -> None:
    command = ["mount", "-o", ",".join(("remount", *options)), str(disk)]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize(("name", "output"), [("first", "feats.npy"), ("middle", "feats.csv")])
def test_a_full_disk_is_one_line_and_the_next_run_goes_on(
    bench: Bench, disk: Path, name: str, output: str
) -> None:
    shown = bench.scene(name, output)
    out = disk / "out"
    copy(shown.old, out)
    page = os.sysconf("SC_PAGE_SIZE")
    filled = disk / "filled"
    codes = []
    for pages in range(14):
        filled.unlink(missing_ok=True)
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        filled.write_bytes(bytes(free - pages * page))
        ended = bench.server.run(shown.place / "after", shown.args(out))
        codes.append(ended.code)
        check_error(shown, out, ended)
        check.whole(shown, out)
    assert codes[0] == 1
    filled.unlink()
    bench.rerun(shown, out)


def test_a_read_only_disk_is_one_line_and_the_old_output_stays(bench: Bench, disk: Path) -> None:
    shown = bench.scene("appended", "feats.npy")
    out = disk / "out"
    copy(shown.old, out)
    remount(disk, "ro")
    ended = bench.server.run(shown.place / "after", shown.args(out))
    assert ended.code == 1
    check_error(shown, out, ended)
    assert ended.stderr.endswith("Read-only file system\n")
    check.same(shown, out, "before")
    remount(disk, "rw")
    bench.rerun(shown, out)


@pytest.mark.parametrize("output", ["feats.npy", "feats.csv"])
@pytest.mark.parametrize("limit", [500, 6000])
def test_a_limit_of_file_sizes_is_one_line_and_the_next_run_goes_on(
    bench: Bench, tmp_path: Path, output: str, limit: int
) -> None:
    shown = bench.scene("appended", output)
    out = tmp_path / "out"
    copy(shown.old, out)
    done = subprocess.run(
        [sys.executable, "-m", "vggfeat", *shown.args(out)],
        cwd=shown.place / "after",
        env={**os.environ, **bench.environment, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    said = done.stderr.decode().splitlines()
    assert len(said) == 1
    assert said[0].endswith("cannot be written: File too large")
    check.whole(shown, out)
    bench.rerun(shown, out)


def test_an_output_may_be_on_another_file_system_by_a_link(
    bench: Bench, disk: Path, tmp_path: Path
) -> None:
    for name in ("appended", "middle"):
        shown = bench.scene(name, "feats.npy")
        copy(shown.old, disk / name)
        links = tmp_path / name
        links.mkdir()
        (links / "feats.npy").symlink_to(disk / name / "feats.npy")
        ended = bench.server.run(shown.place / "after", shown.args(links))
        assert ended.code == shown.code, ended
        assert os.listdir(links) == ["feats.npy"]
        check.same(shown, disk / name)
        assert (
            load_features(links / "feats.npy").paths == load_features(shown.new / "feats.npy").paths
        )


def test_a_link_to_nothing_is_an_output_at_the_place_it_names(bench: Bench, tmp_path: Path) -> None:
    shown = bench.scene("first", "feats.npy")
    (tmp_path / "far").mkdir()
    (tmp_path / "feats.npy").symlink_to("far/feats.npy")
    ended = bench.server.run(shown.place / "after", shown.args(tmp_path))
    assert ended.code == shown.code, ended
    assert (tmp_path / "feats.npy").is_symlink()
    check.same(shown, tmp_path / "far")


def test_images_from_the_future_are_kept_like_others(bench: Bench, tmp_path: Path) -> None:
    shown = bench.scene("first", "feats.npy")
    images, output = tmp_path / "imgs", tmp_path / "out"
    output.mkdir()
    shutil.copytree(shown.place / "after" / "imgs", images, symlinks=True)
    for path in images.iterdir():
        if not path.is_symlink():
            os.utime(path, (4e9, 4e9))
    assert _run(bench, shown, tmp_path).code == shown.code
    vectors = (output / "feats.npy").read_bytes()
    assert vectors == (shown.new / "feats.npy").read_bytes()
    assert _run(bench, shown, tmp_path).code == shown.code
    assert check.computed(shown, output) == 0
    assert (output / "feats.npy").read_bytes() == vectors


def _run(bench: Bench, shown: Scene, folder: Path) -> Ended:
    ended = bench.server.run(folder, shown.args(folder / "out"))
    assert ended.stderr == "", ended
    return ended
