"""The note that vggfeat leaves in a file it exports: what the network in it takes.

`{"vggfeat": {"channels": "rgb", "mean": [R, G, B], "divisor": [R, G, B]}}`, as the comment of a
zip archive (PyTorch, `.npz`), as `vggfeat_input` in the metadata of a safetensors file, or as the
attribute `vggfeat` of an HDF5 file. Other programs pass over it.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

from vggfeat.inputs import CHANNELS, Input, Triple
from vggfeat.weights.layers import Network

KEY = "vggfeat_input"  # of safetensors
ATTRIBUTE = "vggfeat"  # of HDF5
DECLARED_BY = "the note that vggfeat left in it"

_LONGEST = 4096


def to_text(taken: Input) -> str:
    """The note, in one line of JSON."""
    fields = {"channels": taken.channels, "mean": taken.mean, "divisor": taken.divisor}
    return json.dumps({"vggfeat": fields})


def note_of(text: str) -> Input | None:
    """What a note says; None for any other text."""
    if len(text) > _LONGEST:
        return None
    try:
        fields = json.loads(text)["vggfeat"]
        mean, divisor = _triple(fields["mean"]), _triple(fields["divisor"])
        channels = fields["channels"]
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError):
        return None
    if channels not in CHANNELS or min(divisor) <= 0:
        return None
    return Input(channels, mean, divisor)


def noted(found: Network, taken: Input | None) -> Network:
    """The network as a note declares it, where there is one."""
    if taken is None:
        return found
    return replace(found, declared=taken, declared_by=DECLARED_BY)


def _triple(values: Any) -> Triple:
    red, green, blue = (float(value) for value in values)
    if not all(map(math.isfinite, (red, green, blue))):
        raise ValueError("not finite")
    return red, green, blue
