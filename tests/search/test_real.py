"""On the real convolutions: what looks alike is near."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from vggfeat import extract
from vggfeat.search.gallery import Gallery
from vggfeat.search.queries import pictures
from vggfeat.search.similar import Answer, similar

REAL = os.environ.get("VGGFEAT_REAL_NOTOP")
PHOTOS = ("astronaut", "brick", "chelsea", "china", "coffee", "coins", "flower", "rocket")


@pytest.mark.skipif(REAL is None, reason="$VGGFEAT_REAL_NOTOP is not set")
def test_mirrored_and_cropped_again_a_picture_stays_nearest_to_itself(tmp_path: Path) -> None:
    folder = Path(__file__).parents[2] / "sample_images"
    for name in PHOTOS:
        with Image.open(folder / f"{name}.jpg") as file:
            photo = file.convert("RGB")
        width, height = photo.size
        box = (width // 10, height // 12, width - width // 20, height - height // 15)
        photo.save(tmp_path / f"{name}.bmp")
        ImageOps.mirror(photo).save(tmp_path / f"{name}.mirrored.bmp")
        photo.crop(box).save(tmp_path / f"{name}.cropped.bmp")
    extract(tmp_path, tmp_path / "f.npy", weights=REAL, layer="pool5:avg")
    gallery = Gallery(str(tmp_path / "f.npy"))
    asked = pictures([str(tmp_path / f"{name}.bmp") for name in PHOTOS])
    for name, answer in zip(PHOTOS, similar(gallery, asked, k=3), strict=True):
        assert isinstance(answer, Answer)
        versions = {f"{tmp_path / name}.{how}.bmp" for how in ("mirrored", "cropped")}
        assert set(answer.paths[:2]) == versions
        assert min(answer.similarities[:2]) > answer.similarities[2] + 0.1
