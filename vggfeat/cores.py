"""How many processors this process may use."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def cores() -> int:
    """The processors of its affinity mask, or fewer where a container's CPU quota is smaller."""
    if hasattr(os, "sched_getaffinity"):
        available = len(os.sched_getaffinity(0))
    else:
        available = os.cpu_count() or 1
    return max(1, round(min(available, _quota())))


def _quota() -> float:
    """The smallest CPU quota of the control groups (version 2, then 1) around this process."""
    try:
        lines = _MEMBERSHIP.read_text().splitlines()
    except OSError:
        return float("inf")
    quotas = [float("inf")]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = _CGROUPS / "cpu" if controllers else _CGROUPS
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            quotas.append(_quota_of(folder))
            if folder == root:
                break
    return min(quotas)


def _quota_of(group: Path) -> float:
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text().strip()
            period = (group / "cpu.cfs_period_us").read_text()
    except (OSError, ValueError):
        return float("inf")
    return float("inf") if quota in ("max", "-1") else int(quota) / int(period)
