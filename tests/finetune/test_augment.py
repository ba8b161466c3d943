"""Random views of a picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from vggfeat import ImageError
from vggfeat.finetune.augment import augmented


def file_of(pixels: np.ndarray, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def ramp(width: int, height: int) -> np.ndarray:
    """Red is the place from left to right, green from top to bottom, each from 0 to 255."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([x, y, np.zeros_like(x)], axis=2).round().astype(np.uint8)


def test_a_view_is_a_square_part_at_a_scale_within_bounds_mirrored_half_the_time() -> None:
    data = file_of(ramp(480, 320))
    mirrored, scales = 0, []
    for seed in range(60):
        view = augmented(data, np.random.default_rng(seed)).astype(float)
        assert view.shape == (224, 224, 3)
        across, down = view[:, -1, 0] - view[:, 0, 0], view[-1, :, 1] - view[0, :, 1]
        mirrored += across.mean() < 0
        assert down.mean() > 0  # never upside down
        pixels_x = abs(across.mean()) / 255 * 480 * 224 / 223
        pixels_y = down.mean() / 255 * 320 * 224 / 223
        assert pixels_x == pytest.approx(pixels_y, rel=0.05)  # the aspect is kept
        scales.append(224 / pixels_y * 320)
    assert 15 < mirrored < 45
    assert 220 < min(scales) < 240
    assert 304 < max(scales) < 325


def test_the_generator_alone_decides() -> None:
    data = file_of(ramp(300, 240))
    first, again, other = (augmented(data, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_exif_turns_it_as_in_preprocess() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned = file_of(ramp(300, 240)[::-1, ::-1], "JPEG", exif=exif, quality=95)
    upright = file_of(ramp(300, 240), "JPEG", quality=95)
    views = [augmented(data, np.random.default_rng(0)).astype(int) for data in (turned, upright)]
    assert abs(views[0] - views[1]).mean() < 1


def test_a_broken_file_is_an_image_error() -> None:
    with pytest.raises(ImageError):
        augmented(b"broken", np.random.default_rng(0))
