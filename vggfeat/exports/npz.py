"""Frossard's `vgg16_weights.npz`: `conv1_1_W`, `conv1_1_b`, ... `fc8_W`, `fc8_b`.

His script (www.cs.toronto.edu/~frossard/post/vgg16) gives its layers the arrays in the order of
their sorted names, so there is nothing else in the file; the mean stands in the zip's comment.
"""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import numpy as np

from vggfeat.exports import pixels
from vggfeat.weights.canonical import Weights
from vggfeat.weights.formats import note
from vggfeat.weights.mapped import forget
from vggfeat.whole import whole


def write(weights: Weights, path: Path) -> str:
    """Write the file. Raises OSError."""
    taken = pixels.plain(weights)
    with whole(path) as file, ZipFile(file, "w") as archive:
        archive.comment = note.to_text(taken).encode()
        for layer in weights.layers:
            for part, letter in (("kernel", "W"), ("bias", "b")):
                array = weights.tensors[f"{layer}/{part}"]
                with archive.open(f"{layer}_{letter}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, array, allow_pickle=False)
                forget(array)
    return f"takes RGB pixels minus the mean {pixels.words(taken.mean)}"
