"""What the peers share: the two programs that each of them is.

network WEIGHTS CROPS OUTPUT BATCHES   computes batches of crops, a round a line of stdin
files WEIGHTS FOLDER OUTPUT            computes the photographs of a folder, then ends
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.peers import decoding

# uint8 `[n,224,224,3]` RGB -> float32 `[n,4096]`
Compute = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
Load = Callable[[Path], Compute]


def main(load: Load, batch: int | None = 16, *, ahead: bool = True) -> None:
    """Run the program that the command line asks for.

    Args:
        load: gives the network of a folder of weights.
        batch: images a call; None to hand over all of a round at once.
        ahead: decode the next batch while one is computed.
    """
    program, weights, source, output, *rest = sys.argv[1:]
    if program == "network":
        _network(load(Path(weights)), batch, Path(source), Path(output), int(rest[0]))
    else:
        _files(load(Path(weights)), batch or 16, ahead, Path(source), Path(output))


def _network(
    compute: Compute, batch: int | None, crops_file: Path, output: Path, batches: int
) -> None:
    crops = np.load(crops_file)
    np.save(output, _all(compute, crops, batch))
    images = np.concatenate([crops] * batches)
    _say({"ready": True})
    for _ in sys.stdin:
        started = time.perf_counter()
        _all(compute, images, batch)
        _say({"images": len(images), "seconds": time.perf_counter() - started})


def _all(compute: Compute, images: NDArray[np.uint8], batch: int | None) -> NDArray[np.float32]:
    step = batch or len(images)
    rows = [compute(images[start : start + step]) for start in range(0, len(images), step)]
    return np.concatenate(rows)


def _files(compute: Compute, batch: int, ahead: bool, folder: Path, output: Path) -> None:
    paths = sorted(folder.glob("*.jpg"))
    decode = decoding.batches_ahead if ahead else decoding.batches_in_turn
    rows = []
    for images in decode(paths, batch):
        rows.append(compute(images))
        if len(rows) == 1:
            _say({"first": time.monotonic()})
    np.save(output, np.concatenate(rows))


def _say(message: dict[str, object]) -> None:
    print(json.dumps(message), flush=True)
