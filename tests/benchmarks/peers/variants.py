"""What the peers on a GPU share: one program that measures the variants of a way.

PEER WEIGHTS CROPS OUTPUT PRECISION PLACE SECONDS

A line of stdin asks for one thing and is answered by one line:

prepare BATCH VARIANT   make the network and warm it up; OUTPUT is what it gives for some crops
round BATCH VARIANT     compute as many batches as take some SECONDS
drop                    let go of all networks
"""

from __future__ import annotations

import gc
import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Computes one batch, uint8 `[n,224,224,3]` RGB, so many times as if they were different ones:
# each is sent to the card and its float32 `[n,4096]` come back.
Compute = Callable[[NDArray[np.uint8], int], Sequence[NDArray[np.float32]]]
Make = Callable[[str, int], Compute]  # of a variant and a batch's size

_FEWEST = 2  # batches in a round


class Asked(NamedTuple):
    """What a peer is to load."""

    weights: Path
    precision: str
    on_gpu: bool


class _Ready(NamedTuple):
    compute: Compute
    images: NDArray[np.uint8]
    times: int


def main(load: Callable[[Asked], Make]) -> None:
    """Run the program.

    Args:
        load: reads the weights; ends the process with a reason where the place is not there.
    """
    weights, crops_file, output, precision, place, seconds = sys.argv[1:]
    make = load(Asked(Path(weights), precision, place == "gpu"))
    crops = np.load(crops_file)
    ready: dict[str, _Ready] = {}
    _say({})
    for line in sys.stdin:
        what, _, which = line.rstrip("\n").partition(" ")
        batch, _, variant = which.partition(" ")
        try:
            if what == "prepare":
                images = np.resize(crops, (int(batch), *crops.shape[1:]))
                ready[which] = _prepared(make(variant, int(batch)), images, float(seconds))
                np.save(output, ready[which].compute(images, 1)[0][: len(crops)])
                _say({"failed": ""})
            elif what == "round":
                _say({"failed": "", **_round(ready[which])})
            else:
                ready.clear()
                gc.collect()
                _say({"failed": ""})
        except Exception as error:  # of this variant: the others go on
            _say({"failed": _reason(error)})


def _prepared(compute: Compute, images: NDArray[np.uint8], seconds: float) -> _Ready:
    """Warmed up, with the number of batches that take so many seconds.

    A batch is what one more of them takes: what a call takes by itself, as `predict` does, must
    not make its rounds shorter.
    """
    compute(images, 1)
    compute(images, _FEWEST)
    few, many = (
        _round(_Ready(compute, images, times))["seconds"] for times in (_FEWEST, 3 * _FEWEST)
    )
    once = max((many - few) / (2 * _FEWEST), many / (9 * _FEWEST))
    return _Ready(compute, images, max(_FEWEST, math.ceil(seconds / once)))


def _round(ready: _Ready) -> dict[str, float]:
    started = time.perf_counter()
    computed = ready.compute(ready.images, ready.times)
    seconds = time.perf_counter() - started
    assert sum(map(len, computed)) == ready.times * len(ready.images)
    return {"images": ready.times * len(ready.images), "seconds": seconds}


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:160]}".rstrip(": .")


def _say(message: Mapping[str, object]) -> None:
    print(json.dumps(message), flush=True)
