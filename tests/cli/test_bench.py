"""`vggfeat bench`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.inside import run
from vggfeat.doctor import choice


def test_it_measures_every_engine_and_names_the_one_auto_takes(
    narrow_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["vggfeat.cli.bench"], "_SECONDS", 0.5)
    header, *rows, last = run("bench", "-w", narrow_file).stdout.decode().splitlines()
    assert header.split() == ["engine", "ready", "after", "images/s"]
    assert [row.split()[0] for row in rows] == ["ncnn", "tensorflow"]
    assert all(float(row.split()[-1]) > 10 for row in rows)
    engine, reason = choice.auto()
    assert last == f"auto takes {engine}: {reason}"
