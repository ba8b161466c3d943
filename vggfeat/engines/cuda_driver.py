"""What NVIDIA's driver says of the cards, asked of it directly: no CUDA toolkit takes part.

It is asked in a process of its own. A driver that is broken may crash the process that asks, or
never answer; and who has asked it cannot use the cards in processes that are forked later.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vggfeat import limited
from vggfeat.errors import describe_os_error

_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_PROGRAM = Path(__file__).with_name("cuda_calls.py")
_PATIENCE = 60.0  # seconds; a machine of eight cards that nobody uses takes some 10 to wake them


@dataclass(frozen=True)
class Card:
    """A GPU, or the part of one that MIG makes a device.

    Attributes:
        index: as CUDA and TensorFlow count.
        name: such as `NVIDIA H100 80GB HBM3`.
        total: memory in bytes.
        free: what no program uses of it, in bytes; None where NVML does not tell.
        capability: the compute capability, `(9, 0)` of an H100.
        uuid: `GPU-` or `MIG-` and 36 characters.
    """

    index: int
    name: str
    total: int
    free: int | None
    capability: tuple[int, int]
    uuid: str


@dataclass(frozen=True)
class Driver:
    """The driver's answers.

    Attributes:
        found: whether its library is there at all.
        cards: those that this process may use: `CUDA_VISIBLE_DEVICES` counts.
        cuda: the newest CUDA that it supports, such as `(12, 4)`; None if it does not tell.
        version: its own, such as `550.54.15`; None where NVML does not tell.
        error: why it shows no card, by its name in cuda.h, such as `CUDA_ERROR_UNKNOWN`, or in
            words; None where it works, be there cards or none.
    """

    found: bool
    cards: list[Card]
    cuda: tuple[int, int] | None = None
    version: str | None = None
    error: str | None = None


def ask() -> Driver:
    """The driver's answers, asked for once in a process: `forget` lets it be asked again.

    Takes a fraction of a millisecond where there is no driver.
    """
    if not is_installed():
        return Driver(found=False, cards=[])
    return _asked(_LIBRARY, os.environ.get("CUDA_VISIBLE_DEVICES"))


def is_installed() -> bool:
    """Whether the driver's library is there, cards or none."""
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return False
    return True


def forget() -> None:
    """Let the next `ask` ask the driver again: free memory changes."""
    _asked.cache_clear()


@functools.lru_cache
def _asked(library: str, visible: str | None) -> Driver:
    try:
        code, answer = limited.run(_PROGRAM, [library], b"", _PATIENCE)
    except OSError as error:
        return Driver(True, [], error=f"it could not be asked ({describe_os_error(error)})")
    if code is None:
        return Driver(True, [], error=f"it did not answer in {_PATIENCE:.0f} s")
    if code or not answer:
        return Driver(True, [], error=f"it crashed when it was asked ({_ending(code)})")
    told: dict[str, Any] = json.loads(answer)
    cards = [Card(**{**card, "capability": tuple(card["capability"])}) for card in told["cards"]]
    cuda = tuple(told["cuda"]) if told["cuda"] else None
    return Driver(True, cards, cuda, told["version"], told["error"])


def _ending(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"exit code {code}"
