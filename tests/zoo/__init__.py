"""Bad images by the hundred: each must become a vector or a reason, whatever it is."""

from __future__ import annotations

from functools import cache

from tests.zoo.hostile import hostile_images
from tests.zoo.sound import cuts, sound_images

FEW = 12  # cuts of each sound image, which leave the first and a spread of the others


@cache
def animals() -> dict[str, bytes]:
    """Bad images by file name: deterministic, some hundreds, 20 MB in all."""
    cut = {
        f"cut-{kept}-{name}": data[:kept]
        for name, data in sound_images().items()
        for kept in cuts(data, most=FEW)
    }
    return cut | hostile_images()
