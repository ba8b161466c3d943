"""Folders of made pictures, which a narrow random network tells apart now and then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("spots", "stripes", "waves")


def pictures(
    folder: Path, count: int = 8, seed: int = 0, classes: tuple[str, ...] = CLASSES
) -> Path:
    """So many pictures a class: stripes of the class's width and direction, in noise."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :80]
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for at in range(count):
            angle, phase = number + generator.uniform(-0.3, 0.3), generator.uniform(0, 6)
            turned = x * np.cos(angle) + y * np.sin(angle)
            stripes = 128 + 60 * np.sin(turned * (0.2 + 0.2 * number) + phase)
            pixels = stripes[..., None] + generator.normal(0, 15, (64, 80, 3))
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            image.save(folder / name / f"{at}.png")
    return folder
