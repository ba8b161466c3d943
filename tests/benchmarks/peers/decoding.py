"""Decoding with Pillow as one writes it: smaller side to 256, central 224x224, RGB."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

Images = NDArray[np.uint8]


def crop(path: Path) -> Images:
    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    smaller = min(image.size)
    width, height = image.width * 256 // smaller, image.height * 256 // smaller
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - 224) // 2, (height - 224) // 2
    return np.asarray(image.crop((left, top, left + 224, top + 224)))


def batches_in_turn(paths: list[Path], size: int) -> Iterator[Images]:
    """Decode a batch when it is asked for, one image after the other."""
    for start in range(0, len(paths), size):
        yield np.stack([crop(path) for path in paths[start : start + size]])


def batches_ahead(paths: list[Path], size: int) -> Iterator[Images]:
    """Decode the next batch in threads while this one is computed."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting: deque[list[Future[Images]]] = deque()
        for start in range(0, len(paths), size):
            waiting.append([pool.submit(crop, path) for path in paths[start : start + size]])
            if len(waiting) > 1:
                yield _stacked(waiting.popleft())
        while waiting:
            yield _stacked(waiting.popleft())


def _stacked(futures: list[Future[Images]]) -> Images:
    return np.stack([future.result() for future in futures])
