"""How many processors this process may use."""

from __future__ import annotations

import os
from pathlib import Path

from vggfeat import cgroups


def cores() -> int:
    """The processors of its affinity mask, or fewer where a container's CPU quota is smaller."""
    if hasattr(os, "sched_getaffinity"):
        available = len(os.sched_getaffinity(0))
    else:
        available = os.cpu_count() or 1
    quotas = map(_quota_of, cgroups.around("cpu"))
    return max(1, round(min([available, *quotas])))


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
