"""Makes the reference that `vggfeat weights verify` compares with.

    VGGFEAT_REAL_NOTOP=vgg16_..._notop.h5 python -m tests.weights.make_reference FILE

For each sample photograph some pixels, as the slow arithmetic of tests/test_preprocess.py gives
them, and pool5 averaged over its 7x7 positions, as Keras computes it on the published convolutions.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save_file

from tests.test_preprocess import ORIENTATION, SAMPLES, UPRIGHT, decoded, resized_and_cropped
from vggfeat.preprocess import preprocess
from vggfeat.weights import oxford


def photographs() -> list[Path]:
    return sorted(path for path in SAMPLES.rglob("*") if path.is_file() and path.suffix != ".md")


def plain_crop(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        orientation = image.getexif().get(ORIENTATION, 1)
        return resized_and_cropped(UPRIGHT[orientation](decoded(image))).astype(np.uint8)


def pool5(crops: NDArray[np.uint8], weights: str) -> NDArray[np.float32]:
    """Keras' own answer: float32 `[n,512]`."""
    import keras

    model = keras.applications.VGG16(include_top=False, weights=weights)
    prepared = keras.applications.vgg16.preprocess_input(crops.astype(np.float32))
    return np.asarray(model.predict(prepared, verbose=0)).mean(axis=(1, 2))


def main(output: str) -> None:
    paths = photographs()
    crops = np.stack([preprocess(path.read_bytes()) for path in paths])
    vectors = pool5(crops, os.environ["VGGFEAT_REAL_NOTOP"])
    made = {}
    for path, vector in zip(paths, vectors, strict=True):
        name = path.relative_to(SAMPLES).as_posix()
        made[f"{name}/pool5"] = np.ascontiguousarray(vector)
        made[f"{name}/pixels"] = np.ascontiguousarray(oxford.sampled(plain_crop(path)))
    save_file(made, output, {"licence": "CC BY 4.0, Oxford Visual Geometry Group"})


if __name__ == "__main__":
    main(sys.argv[1])
