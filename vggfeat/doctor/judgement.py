"""Whether an engine passed its self-test."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from vggfeat.doctor.self_test import Computed, Trial

# The relative norm of the error that is too much: of the narrow network float32 gives 6e-7, and
# bfloat16 8e-3 on processors; the others have the 10 bits of mantissa that lie between.
TOLERANCES = {"float32": 1e-5, "tf32": 1e-2, "float16": 1e-2, "bfloat16": 5e-2}

_LONGEST = 200  # characters of a log's line

# How TensorFlow's log begins its lines: information, warnings, errors, and what ends the process.
_LOGGED = re.compile(r"([IWEF])\d{4} .*?\] ")
_OF_GPUS = re.compile("cuda|gpu|cudnn", re.IGNORECASE)


def fault(trial: Trial, precision: str) -> str | None:
    """What was wrong in one precision, as a clause after the engine's name; None if nothing."""
    computed = trial.precisions.get(precision)
    if computed is not None:
        return _fault(computed, precision)
    if trial.ended is None:
        return f"did not compute in {precision}"
    doing = f" while {trial.doing}" if trial.doing else ""
    return f"does not work: its self-test {trial.ended}{doing}{_last_words(trial.log)}"


def _fault(computed: Computed, precision: str) -> str | None:
    if computed.failed is not None:
        return f"cannot compute in {precision}: {computed.failed}"
    error, most = computed.error or 0.0, TOLERANCES[precision]
    if error > most:
        return (
            f"computes other numbers than the network in {precision}: relative error {error:.0e}, "
            f"where {most:.0e} is the most"
        )
    return None


def complaint_about_gpus(log: str) -> str:
    """What TensorFlow logged last of GPUs, in brackets; nothing if it did not."""
    return _last(line for line in log.splitlines() if _kind(line) and _OF_GPUS.search(line))


def _last_words(log: str) -> str:
    """What a process that has died printed last, but for what it logged before and lived on."""
    return _last(line for line in log.splitlines() if _kind(line) in ("F", ""))


def _kind(line: str) -> str:
    found = _LOGGED.match(line)
    return found[1] if found else ""


def _last(lines: Iterable[str]) -> str:
    texts = [_LOGGED.sub("", line).strip() for line in lines]
    told = [text for text in texts if text and not text.startswith("WARNING: ")]
    return f" ({textwrap.shorten(told[-1], _LONGEST)})" if told else ""
