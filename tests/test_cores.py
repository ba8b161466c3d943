"""How many processors are ours: affinity, and the quota of a container."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vggfeat import cgroups
from vggfeat.cores import cores


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups of version 2, with this process in a/b, on a machine of 16 processors."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    membership = tmp_path / "membership"
    membership.write_text("0::/a/b\n")
    monkeypatch.setattr(cgroups, "_CGROUPS", tmp_path)
    monkeypatch.setattr(cgroups, "_MEMBERSHIP", membership)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    return tmp_path


def test_without_a_quota_it_is_the_affinity(groups: Path) -> None:
    assert cores() == 16
    (groups / "a" / "cpu.max").write_text("max 100000\n")
    assert cores() == 16


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("50000", 1), ("100000", 1), ("250000", 2), ("300000", 3), ("9999999", 16)],
)
def test_a_smaller_quota_counts(groups: Path, quota: str, expected: int) -> None:
    (groups / "a" / "b" / "cpu.max").write_text(f"{quota} 100000\n")
    assert cores() == expected


def test_the_quota_of_a_group_above_counts_too(groups: Path) -> None:
    (groups / "a" / "b" / "cpu.max").write_text("800000 100000\n")
    (groups / "a" / "cpu.max").write_text("400000 100000\n")
    assert cores() == 4


def test_control_groups_of_version_1_are_asked_where_they_are(groups: Path) -> None:
    (groups / "membership").write_text("3:memory:/c\n2:cpu,cpuacct:/c\n")
    (groups / "cpu" / "c").mkdir(parents=True)
    (groups / "cpu" / "c" / "cpu.cfs_quota_us").write_text("200000\n")
    (groups / "cpu" / "c" / "cpu.cfs_period_us").write_text("100000\n")
    assert cores() == 2
    (groups / "cpu" / "c" / "cpu.cfs_quota_us").write_text("-1\n")
    assert cores() == 16


def test_a_system_without_control_groups_has_its_processors(
    groups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroups, "_MEMBERSHIP", groups / "none")
    assert cores() == 16
