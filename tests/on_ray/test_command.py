"""`vggfeat extract --ray`, as a user sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.on_ray import runs
from tests.on_ray.conftest import TwoNodes


def vggfeat(*arguments: str | Path, where: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vggfeat", "extract", *map(str, arguments)]
    return subprocess.run(
        command, cwd=where, capture_output=True, text=True, timeout=200, check=False
    )


def test_the_command_says_what_a_local_run_says_and_writes_the_same(
    two_nodes: TwoNodes, narrow_file: Path, tmp_path: Path
) -> None:
    (runs.pictures(tmp_path / "imgs", 30) / "bad.jpg").write_bytes(b"no image")
    options = ("--weights", narrow_file, "--engine", "ncnn")
    here = vggfeat("imgs", "-o", "here/", *options, where=tmp_path)
    there = vggfeat("imgs", "-o", "there/", *options, f"--ray={two_nodes.address}", where=tmp_path)
    assert here.returncode == there.returncode == 3
    assert there.stdout == ""
    assert without_seconds(there.stderr) == without_seconds(here.stderr.replace("here/", "there/"))
    (name, found), *_ = runs.tables(tmp_path / "there")
    assert dict(runs.tables(tmp_path / "here"))[name].equals(found)
    again = vggfeat("imgs", "-o", "there/", *options, f"--ray={two_nodes.address}", where=tmp_path)
    assert again.returncode == 3
    assert "nothing to compute, 30 kept" in again.stderr


def without_seconds(said: str) -> list[str]:
    """What does not hang on how fast it went."""
    lines = [line.partition(", in ")[0] for line in said.splitlines()]
    return [line for line in lines if not line.endswith("images/s")]
