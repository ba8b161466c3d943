"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

from tests.benchmarks.programs import TORCH_HOME
from vggfeat.engines import gpu

PACKAGES = (
    "vggfeat",
    "ncnn",
    "tensorflow",
    "keras",
    "onnxruntime",
    "openvino",
    "torch",
    "nvidia-cudnn-cu12",
    "nvidia-cudnn-cu13",
    "numpy",
    "pillow",
)

CAN_BIND = hasattr(os, "sched_setaffinity")  # whether a child can be given fewer cores


def describe() -> dict[str, object]:
    return {
        "processor": _processor(),
        "cores": len(cores()),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "cards": [f"{card.name} with {card.total / 2**30:.0f} GiB" for card in gpu.cards()],
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
    }


def cores() -> list[int]:
    """The processors that a child may use, by number."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def available_memory() -> int:
    """Bytes that could be had without swapping; 0 where the system does not say."""
    return _meminfo("MemAvailable")


def _memory() -> int:
    return _meminfo("MemTotal") or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _meminfo(field: str) -> int:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), 0)


def _processor() -> str:
    """The model's name, and the widest vector instructions, on which speed depends most."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    named = {name.strip(): value.strip() for name, value in fields.items()}
    flags = named.get("flags", "").split()
    widest = next((name for name in ("avx512f", "avx2", "avx") if name in flags), "")
    model = named.get("model name", platform.machine())
    return f"{model} ({widest})" if widest else model


def _version(package: str) -> str | None:
    """In this environment, or in PyTorch's own."""
    paths = [*sys.path, *map(str, TORCH_HOME.glob("lib/python*/site-packages"))]
    found = metadata.distributions(name=package, path=paths)
    return next((distribution.version for distribution in found), None)
