"""How much memory this process may take: the machine's, or less where a container has a limit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


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
    limits = [(limit, limit - used) for limit, used in _groups() if total is None or limit < total]
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


def _groups() -> Iterator[tuple[int, int]]:
    """Limit and use of each control group (version 2, then 1) around this process."""
    try:
        lines = _MEMBERSHIP.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = _CGROUPS / "memory" if controllers else _CGROUPS
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if (found := _of(folder)) is not None:
                yield found
            if folder == root:
                break


def _of(group: Path) -> tuple[int, int] | None:
    """What files hold in memory that can be dropped does not count as used."""
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
