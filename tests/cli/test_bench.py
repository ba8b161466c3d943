"""`vggfeat bench`."""

from __future__ import annotations

from pathlib import Path

from tests.cli.command import lines, vggfeat


def test_it_measures_every_engine_and_names_the_one_auto_takes(narrow_file: Path) -> None:
    header, *rows, last = lines(vggfeat("bench", "-w", narrow_file).stdout)
    assert header.split() == ["engine", "ready", "after", "images/s"]
    assert [row.split()[0] for row in rows] == ["ncnn", "tensorflow"]
    assert all(float(row.split()[-1]) > 10 for row in rows)
    assert last.startswith(("auto takes ncnn: ", "auto takes tensorflow: "))
