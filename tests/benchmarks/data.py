"""Photographs to measure with, made from the sample images: the same ones on every machine.

Run as a program, because the process that measures has to stay small.
"""

from __future__ import annotations

import os
import shutil
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.benchmarks.folder import Folder
from tests.benchmarks.peers.decoding import crop
from vggfeat.preprocess import preprocess

SAMPLES = Path(__file__).parents[2] / "sample_images"
QUALITY = 90
CHECKED = 2  # photographs whose vectors are compared with float64

SIZES = {"500x375": (500, 375), "12MP": (4000, 3000)}
# More photographs than these are further links to them: decoding costs the same each time.
DISTINCT = {"500x375": 500, "12MP": 20}


def main(root: str, *wanted: str) -> None:
    """Make the sets that are asked for as `500x375:24`, and one batch of crops."""
    folder = Folder(Path(root))
    batch = [preprocess(_photograph(number, SIZES["500x375"])) for number in range(16)]
    folder.root.mkdir(exist_ok=True)
    np.save(folder.crops, np.stack(batch))
    for kind, _, count in (item.partition(":") for item in wanted):
        _make_set(folder, kind, int(count))


def pixels_file(folder: Folder, kind: str, pixels: str) -> Path:
    """What the network sees of the first photographs, as `pixels` (plain, vggfeat) cuts it out."""
    return folder.root / kind / f"{pixels}.npy"


def _make_set(folder: Folder, kind: str, count: int) -> None:
    originals = folder.root / kind / "distinct"
    originals.mkdir(parents=True, exist_ok=True)
    for number in range(min(max(count, CHECKED), DISTINCT[kind])):
        path = originals / f"{number:05}.jpg"
        if not path.exists():
            part = path.with_suffix(".part")
            _photograph(number, SIZES[kind]).save(part, "JPEG", quality=QUALITY)
            part.rename(path)
    target = folder.photographs(kind, count)
    target.mkdir(exist_ok=True)
    for number in range(count):
        path = target / f"{number:05}.jpg"
        if not path.exists():
            _link(originals / f"{number % DISTINCT[kind]:05}.jpg", path)
    checked = [originals / f"{number:05}.jpg" for number in range(CHECKED)]
    np.save(pixels_file(folder, kind, "plain"), np.stack([crop(path) for path in checked]))
    ours = [preprocess(path.read_bytes()) for path in checked]
    np.save(pixels_file(folder, kind, "vggfeat"), np.stack(ours))


def _photograph(number: int, size: tuple[int, int]) -> Image.Image:
    """A random part of a random sample, mirrored or not; its number and size settle which."""
    generator = np.random.default_rng([number, *size])
    samples = _samples()
    sample = samples[generator.integers(len(samples))]
    share = generator.uniform(0.5, 1)
    width = share * min(sample.width, sample.height * 4 / 3)
    height = width * 3 / 4
    left = generator.uniform(0, sample.width - width)
    top = generator.uniform(0, sample.height - height)
    image = sample.resize(
        size, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height)
    )
    if generator.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return Image.fromarray(_with_grain(np.asarray(image)))


@lru_cache(maxsize=1)
def _samples() -> list[Image.Image]:
    paths = sorted(path for path in SAMPLES.rglob("*.jpg"))
    images = [Image.open(path).convert("RGB") for path in paths]
    return [image for image in images if min(image.size) >= 200]


def _with_grain(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Enlarged pixels are too smooth: without grain a JPEG would decode faster than a real one."""
    tile = np.random.default_rng(0).normal(0, 4, (512, 512, 1)).astype(np.int16)
    height, width = pixels.shape[:2]
    repeats = -(-height // 512), -(-width // 512), 1
    grain = np.tile(tile, repeats)[:height, :width]
    return (pixels + grain).clip(0, 255).astype(np.uint8)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


if __name__ == "__main__":
    main(*sys.argv[1:])
