"""The page, as a real browser shows it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vggfeat import VggfeatError
from vggfeat.search import page
from vggfeat.search.page import Picture
from vggfeat.search.thumbnails import thumbnail

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
RED, GREEN, BLUE, GOLD = (200, 20, 20), (20, 160, 20), (20, 20, 200), (230, 180, 0)
ODD = "a<b>&\"'<script>document.title = 1</script>.png"


def picture(path: Path, colour: tuple[int, int, int], size: tuple[int, int]) -> str:
    Image.new("RGB", size, colour).save(path)
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two rows: a wide, an odd, a gone, a broken one; a turned and a tiny one."""
    folder = tmp_path_factory.mktemp("page")
    (folder / ODD).parent.mkdir()
    turned = Image.new("RGB", (300, 200), BLUE)
    exif = turned.getexif()
    exif[0x0112] = 6  # Orientation: to be turned by 90 degrees
    turned.save(folder / "turned.jpg", exif=exif)
    (folder / "broken.jpg").write_bytes((folder / "turned.jpg").read_bytes()[:-300])
    rows = [
        [
            Picture(picture(folder / "wide.png", RED, (400, 200)), "query"),
            Picture(picture(folder / ODD, GREEN, (250, 250)), "0.9876"),
            Picture(str(folder / "gone.jpg"), "0.5000"),
            Picture(str(folder / "broken.jpg"), "0.4000"),
        ],
        [
            Picture(str(folder / "turned.jpg"), "1.0000"),
            Picture(picture(folder / "tiny.png", GOLD, (20, 10)), "0.1000"),
            Picture(os.fsdecode(os.fsencode(folder) + b"/\xff.jpg"), "0.0500"),
        ],
    ]
    with page.page(str(folder / "page.html"), "Title & <all>", "About <it>.") as made:
        for row in rows:
            made.add(row)
    return folder


def browse(folder: Path, *options: str) -> bytes:
    """A headless browser's answer about the page; it has no network."""
    if BROWSER is None:
        pytest.skip("no Chromium or Chrome on the PATH")
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder}/profile",
            *options, (folder / "page.html").as_uri(),
        ],
        capture_output=True, timeout=100, check=True,
    )  # fmt: skip
    return done.stdout


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_a_browser_reads_names_as_text_and_pictures_from_the_page_alone(folder: Path) -> None:
    dom = Elements(browse(folder, "--dump-dom").decode())
    assert not {"script", "link", "iframe", "a"} & {tag for tag, _ in dom.found}
    images = dom.named("img")
    assert [image["alt"] for image in images] == [
        str(folder / name) for name in ("wide.png", ODD, "turned.jpg", "tiny.png")
    ]
    assert all(str(image["src"]).startswith("data:image/jpeg;base64,") for image in images)
    assert not re.search(r"https?:|file:|url\(", (folder / "page.html").read_text())
    for said in ("Title & <all>", "About <it>.", ODD, "gone.jpg", "No such file or directory",
                 "0.9876", "query", "\ufffd.jpg", "cut short"):  # fmt: skip
        assert said in dom.text, said


def boxes(shot: NDArray[np.uint8], colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Width and height of what has a colour, as JPEG keeps it, and how much of the box it fills."""
    near = (np.abs(shot.astype(int) - colour) < 12).all(axis=2)
    rows, columns = (np.flatnonzero(near.any(axis=axis)) for axis in (1, 0))
    assert len(rows), f"nothing has the colour {colour}"
    width, height = int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1
    return width, height, round(100 * near.sum() / (width * height))


@pytest.mark.parametrize(("window", "side"), [((1200, 900), 192), ((420, 900), None)])
def test_a_browser_shows_each_thumbnail_upright_and_whole(
    folder: Path, window: tuple[int, int], side: int | None
) -> None:
    file = folder / "shot.png"
    browse(folder, f"--screenshot={file}", f"--window-size={window[0]},{window[1]}")
    with Image.open(file) as image:
        shot = np.asarray(image.convert("RGB"))
    assert shot.shape[:2] == window[::-1]
    for colour, shape in ((RED, (192, 96)), (GREEN, (192, 192)), (BLUE, (128, 192))):
        width, height, filled = boxes(shot, colour)
        assert filled >= 99
        assert width / height == pytest.approx(shape[0] / shape[1], rel=0.03)
        if side is not None:
            assert (width, height) == pytest.approx(shape, abs=2)
        assert max(width, height) <= 192
    assert boxes(shot, GOLD)[:2] == pytest.approx((20, 10), abs=2)


def test_a_thumbnail_is_small_whatever_the_picture(samples: list[Path]) -> None:
    for path in samples:
        small = thumbnail(str(path))
        assert not isinstance(small, str), small
        assert max(small.width, small.height) <= 192
        assert len(small.address) < 40_000


def test_a_page_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "no" / "page.html", tmp_path):
        said = pytest.raises(VggfeatError, match=f"{path}: cannot be written: ")
        with said, page.page(str(path), "", "") as made:
            made.add([])
    assert list(tmp_path.iterdir()) == []
