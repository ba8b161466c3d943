"""vggfeat's pipeline over a folder with a network that costs nothing: FOLDER."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat import pipeline
from vggfeat.preprocess import Preprocessing
from vggfeat.sources import open_inputs


class Nothing:
    """An engine that gives zeros."""

    name = "nothing"
    version = "0"
    devices: tuple[str, ...] = ("none",)
    shapes: tuple[tuple[int, ...], ...] = ((1,),)
    batch_size = 128
    batches_in_flight = 2
    batches_together = 8

    def image_stage(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8]]:
        return (image,)

    def batch_stage(self, batch: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        return [np.zeros((len(batch[0]), 1), np.float32)]


def main(folder: str) -> None:
    images = open_inputs([folder])
    started = time.perf_counter()
    done = sum(len(batch) for batch in pipeline.run(images, Preprocessing(), Nothing()))
    print(json.dumps({"images": done, "seconds": time.perf_counter() - started}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
