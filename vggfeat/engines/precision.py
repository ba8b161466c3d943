"""In which numbers the network is computed, and which of them a machine has the arithmetic for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vggfeat.engines import gpu
from vggfeat.engines.devices import ALL, numbers
from vggfeat.errors import UsageError

FLOAT32, TF32, BFLOAT16, FLOAT16 = NAMES = ("float32", "tf32", "bfloat16", "float16")

# What the tensor cores of NVIDIA's cards take, by the compute capability that they begin with
# (CUDA C++ Programming Guide, table "Tensor core data types").
_CAPABILITIES = {TF32: (8, 0), BFLOAT16: (8, 0), FLOAT16: (7, 0)}

_PROCESSORS = Path("/proc/cpuinfo")
_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})


def possible(engine: str) -> list[str]:
    """The precisions that an engine, `ncnn` or `tensorflow`, can compute in on this machine."""
    return [name for name in NAMES if not _hindrance(name, engine)]


def check(precision: str, engine: str, devices: str | Sequence[int] = ALL) -> None:
    """See that an engine can compute in a precision here.

    Args:
        devices: `all`, or the numbers of GPUs.

    Raises:
        UsageError: it cannot, or there is no such precision.
    """
    if precision not in NAMES:
        raise UsageError(f"no precision {precision!r}; there are {', '.join(NAMES)}")
    if why := _hindrance(precision, engine, devices):
        others = ", ".join(possible(engine))
        raise UsageError(f"{precision} cannot be computed here: {why}; there is {others}")


def _hindrance(precision: str, engine: str, devices: str | Sequence[int] = ALL) -> str | None:
    if precision == FLOAT32:
        return None
    if engine == "ncnn":
        return "ncnn computes in float32 alone"
    if gpu.usable():
        wanted = numbers(devices)
        cards = gpu.cards()
        return _hindrance_of([c for c in cards if not wanted or c.index in wanted], precision)
    if precision != BFLOAT16:
        return gpu.why_not() or "it takes a GPU, and there is none"
    return None if _processor_has_bfloat16() else "this processor has no bfloat16 arithmetic"


def _hindrance_of(cards: Sequence[gpu.Card], precision: str) -> str | None:
    needed = _CAPABILITIES[precision]
    for card in cards:
        if card.capability < needed:
            has, needs = (".".join(map(str, pair)) for pair in (card.capability, needed))
            return f"{card.name} has compute capability {has}, and it takes {needs}"
    return None


def _processor_has_bfloat16() -> bool:
    try:
        text = _PROCESSORS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return not _BFLOAT16_FLAGS.isdisjoint(flags.split())
