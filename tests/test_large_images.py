"""Images of many megapixels: converted a band at a time, one at a time, in bounded memory."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from tests.zoo.hostile import flat_webp
from tests.zoo.sound import chunk, encoded, exif, picture, png
from vggfeat.errors import ImageError
from vggfeat.preprocess import preprocess

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
@pytest.mark.parametrize("size", [(700, 400), (300, 301), (3, 900), (2000, 30), (100, 90)])
def test_bands_give_what_the_whole_gives(mode: str, size: tuple[int, int]) -> None:
    image = picture(*size).convert("L" if mode in ("I;16", "I", "F") else "RGB").convert(mode)

    whole = preprocess(image)
    with mock.patch("vggfeat.preprocess._MANY_PIXELS", 0):
        banded = preprocess(image)

    assert np.abs(whole.astype(int) - banded).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(700, 401), (300, 901)])
def test_bands_are_turned_upright_too(orientation: int, size: tuple[int, int]) -> None:
    data = encoded(picture(*size), "PNG", exif=exif(274, orientation))

    whole = preprocess(data)
    with mock.patch("vggfeat.preprocess._MANY_PIXELS", 0):
        banded = preprocess(data)

    assert np.abs(whole.astype(int) - banded).max() <= 1


def test_an_image_of_many_megapixels_comes_out_as_its_reference() -> None:
    pixels = np.asarray(picture(250, 280)).repeat(24, axis=0).repeat(24, axis=1)
    image = Image.fromarray(pixels)

    expected = image.resize((256, 286), Image.Resampling.BILINEAR).crop((16, 31, 240, 255))

    assert np.abs(preprocess(image).astype(int) - np.asarray(expected)).max() <= 1


def test_a_large_image_waits_for_the_other() -> None:
    at_work: list[int] = []
    lock = threading.Lock()

    def fit(*_: Any) -> None:
        with lock:
            at_work.append(at_work[-1] + 1 if at_work else 1)
        time.sleep(0.2)
        with lock:
            at_work.append(at_work[-1] - 1)

    def most_at_work(data: bytes) -> int:
        at_work.clear()
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(preprocess, [data] * 3))
        return max(at_work)

    with mock.patch("vggfeat.preprocess.fit", fit):
        assert most_at_work(flat_webp(9_000, 9_000)) == 1
        assert most_at_work(flat_webp(90, 90)) > 1


def transparent(side: int) -> bytes:
    """A PNG of nothing."""
    row = bytes(1 + 4 * side)
    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return png(side, side, chunk(b"IDAT", rows), kind=6)


# Not what getrusage tells: that counts the process that started this one as well.
PEAK = """
import re, sys
from vggfeat.preprocess import preprocess
preprocess(sys.stdin.buffer.read())
print(re.search("VmHWM:\\s+([0-9]+)", open("/proc/self/status").read())[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc tells the peak")
@pytest.mark.parametrize(
    "image", [lambda: flat_webp(9_450, 9_450), lambda: transparent(13_377)], ids=["WEBP", "PNG"]
)
def test_the_largest_image_takes_a_bounded_memory(image: Callable[[], bytes]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PEAK], input=image(), capture_output=True, check=True
    )

    assert int(done.stdout) * 1024 < 1_600_000_000


def test_what_would_take_more_memory_is_refused_by_its_header() -> None:
    with pytest.raises(
        ImageError, match="^too large: 98,010,000 pixels, the limit for WEBP of this kind"
    ):
        preprocess(flat_webp(9_900, 9_900))
