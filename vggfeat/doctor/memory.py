"""How much memory this process may take: the machine's, or less where a container has a limit."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vggfeat import cgroups

_MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True)
class Memory:
    """In bytes.

    Attributes:
        total: of the machine, or its container's limit; None where the system does not tell.
        free: what can be had without swapping; None likewise.
        limited: whether a container's limit is the smaller one.
    """

    total: int | None
    free: int | None
    limited: bool = False


def look() -> Memory:
    told = _meminfo()
    total, free = told.get("MemTotal") or _physical(), told.get("MemAvailable")
    groups = filter(None, map(_of, cgroups.around("memory")))
    limits = [(limit, limit - used) for limit, used in groups if total is None or limit < total]
    if not limits:
        return Memory(total, free)
    rests = [rest for _, rest in limits] + ([] if free is None else [free])
    return Memory(min(limit for limit, _ in limits), max(0, min(rests)), limited=True)


def _meminfo() -> dict[str, int]:
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    fields = (line.split() for line in lines)
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in fields if len(words) > 1}


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _of(group: Path) -> tuple[int, int] | None:
    """Limit and use of a control group, of version 2 or 1; None where it has no limit.

    What files hold in memory that can be dropped does not count as used.
    """
    for limit, usage, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most, used = (int((group / name).read_text()) for name in (limit, usage))
            words = (group / "memory.stat").read_text().split()
        except (OSError, ValueError):  # not this version's, or no limit: "max"
            continue
        dropped = dict(zip(words[::2], words[1::2], strict=False)).get(cached, "0")
        return most, used - int(dropped)
    return None
