"""The machine: processors, memory, system, container, and signs of a card that no driver shows."""

from __future__ import annotations

import contextlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from vggfeat.cores import cores
from vggfeat.doctor import memory
from vggfeat.doctor.memory import Memory

_CPUINFO = Path("/proc/cpuinfo")
_MARKS = {Path("/.dockerenv"): "Docker", Path("/run/.containerenv"): "Podman"}
_FIRST_PROCESS = Path("/proc/1/cgroup")
_GROUPS = {"docker": "Docker", "kubepods": "Kubernetes", "libpod": "Podman", "lxc": "LXC"}

# What the kernel's part of NVIDIA's driver leaves: the first in containers too.
_KERNELS = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"))
_PCI = Path("/sys/bus/pci/devices")
_NVIDIA, _DISPLAY = "0x10de", "0x03"


@dataclass(frozen=True)
class Machine:
    """What the system tells.

    Attributes:
        system: such as `Linux 6.1 x86_64`.
        python: its version.
        processor: the model; None where the system does not tell.
        processors: how many may be used: affinity and a container's quota count.
        processors_there: how many there are.
        memory: of the machine or its container.
        container: what it runs in, such as `Docker`; None outside.
        kernel_driver: the file that shows that the kernel has NVIDIA's driver; None if none does.
        cards_on_bus: how many NVIDIA cards are on the PCI bus, be there a driver or not.
    """

    system: str
    python: str
    processor: str | None
    processors: int
    processors_there: int
    memory: Memory
    container: str | None
    kernel_driver: str | None
    cards_on_bus: int


def look() -> Machine:
    return Machine(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        processor=_processor(),
        processors=cores(),
        processors_there=os.cpu_count() or 1,
        memory=memory.look(),
        container=_container(),
        kernel_driver=next((str(path) for path in _KERNELS if path.exists()), None),
        cards_on_bus=_cards_on_bus(),
    )


def _processor() -> str | None:
    with contextlib.suppress(OSError):
        for line in _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return " ".join(value.split())
    return platform.processor() or None


def _container() -> str | None:
    """By the file that its runtime leaves, else by the control group of its first process."""
    for path, name in _MARKS.items():
        if path.exists():
            return name
    with contextlib.suppress(OSError):
        groups = _FIRST_PROCESS.read_text()
        return next((name for word, name in _GROUPS.items() if word in groups), None)
    return None


def _cards_on_bus() -> int:
    """NVIDIA's display and 3D controllers, by the vendor and class that the PCI standard gives."""
    found = 0
    with contextlib.suppress(OSError):
        for device in _PCI.iterdir():
            with contextlib.suppress(OSError):
                vendor, kind = ((device / name).read_text() for name in ("vendor", "class"))
                found += vendor.strip() == _NVIDIA and kind.startswith(_DISPLAY)
    return found
