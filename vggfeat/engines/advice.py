"""What a user should know of the engine that computes, where another would serve better."""

from __future__ import annotations

from vggfeat import engines
from vggfeat.engines import gpu
from vggfeat.engines.precision import FLOAT32

_ANEW = "as the rows that are there are: --engine {} {}, and computes all anew"


def advice(asked: str, made: engines.Engine, precision: str) -> str | None:
    """One line, or None where all is well.

    Args:
        asked: the engine that was asked for.
        made: the one that computes.
        precision: what it computes in.
    """
    if asked == "ncnn":
        return None
    if why := gpu.why_not():
        return why
    if gpu.usable():
        return _of_a_gpu(made)
    if asked != "auto" or made.name == "ncnn" or precision != FLOAT32:
        return None
    if "ncnn" not in engines.installed():
        return "ncnn, the faster engine for CPUs, is not installed: pip install ncnn"
    return f"computed by tensorflow, {_ANEW.format('ncnn', 'is faster on processors')}"


def _of_a_gpu(made: engines.Engine) -> str | None:
    if made.name == "ncnn":
        return f"computed by ncnn, {_ANEW.format('tensorflow', 'takes the GPU')}"
    if made.devices == ("CPU",):
        return "TensorFlow sees no GPU, though driver and libraries are there: see `vggfeat doctor`"
    return None
