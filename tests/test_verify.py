"""What is found of outputs: damages, images that have changed since, and rows that are wrong."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests import networks
from tests.cli.test_incremental import FUTURE, IMAGES, exchange, images, put, replace_unnoticed, run
from vggfeat import VggfeatError, load_features, sinks
from vggfeat.sinks import published
from vggfeat.sinks.rows import checksum
from vggfeat.verify import Findings, verify

__all__ = ["images"]  # the fixture, which every test here starts from

HEADER, ROW = 4096, 256 * 4  # bytes


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "_PATIENCE", 0.1)


def damages(output: str = "f.npy") -> list[str]:
    found = verify(output)
    assert found.output == output
    return found.damages


def overwrite(path: str, at: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


def write_row(row: int, vector: np.ndarray[Any, Any]) -> None:
    """Another row, and all else as if a run had written it."""
    overwrite("f.npy", HEADER + row * ROW, vector.tobytes())
    index = Path("f.index.csv").read_bytes().splitlines(keepends=True)
    index[row + 1] = index[row + 1][:-9] + checksum(vector).encode() + b"\n"
    Path("f.index.csv").write_bytes(b"".join(index))
    tell(generation=hashlib.sha256(b"".join(index)).hexdigest())


def tell(**changed: Any) -> None:
    about = json.loads(Path("f.json").read_bytes())
    Path("f.json").write_text(json.dumps(about | changed))


@pytest.mark.parametrize("output", [f"f.{form}" for form in sinks.FORMS])
def test_what_a_run_has_written_is_whole(output: str) -> None:
    Path("imgs/bad.ppm").write_bytes(b"junk")
    run(output=output)
    told = json.loads(Path("f.json").read_bytes())
    assert verify(output) == Findings(output, told["generation"], rows=3, failed=1)


@pytest.mark.parametrize("row", [0, 2])
def test_a_damaged_byte_is_found_in_its_row(row: int) -> None:
    run()
    overwrite("f.npy", HEADER + row * ROW + 700, b"\x01\x02\x03")
    assert damages() == [f"row {row} ({IMAGES[row]}) has not the checksum that is listed"]


@pytest.mark.parametrize("digit", [b"9", b"x", b"\n"])
def test_a_damaged_digit_of_a_csv_is_found(digit: bytes) -> None:
    run(output="f.csv")
    at = Path("f.csv").read_bytes().index(f"\n{IMAGES[1]},".encode()) + len(IMAGES[1]) + 2
    number = Path("f.csv").read_bytes()[at:].split(b",")[0]
    overwrite("f.csv", at, b"8" if digit == number[:1] else digit)
    assert any(f"row 1 ({IMAGES[1]})" in damage for damage in damages("f.csv"))


@pytest.mark.parametrize("output", ["f.safetensors", "f.parquet", "f.h5", "f.npz"])
def test_whatever_byte_of_the_numbers_is_damaged_it_is_found(output: str) -> None:
    run(output=output)
    whole = Path(output).read_bytes()
    if output == "f.parquet":
        column = pq.read_metadata(output).row_group(0).column(1)
        at = column.data_page_offset + column.total_compressed_size - 600
    else:
        at = whole.index(load_features(output).vectors[1].tobytes())
    for place in (at, at + 100, at + 500):
        overwrite(output, place, bytes([whole[place] ^ 0x55]))
        (damage, *_) = damages(output)
        assert damage.endswith("has not the checksum that is listed")
        overwrite(output, place, whole[place : place + 1])
    assert damages(output) == []


@pytest.mark.parametrize("form", sinks.FORMS)
def test_whatever_byte_is_damaged_no_other_numbers_are_read(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "_PATIENCE", 0)
    monkeypatch.setattr(published, "_LOOK_AGAIN", 0)
    run(output=(output := f"f.{form}"))
    whole = Path(output).read_bytes()
    rows = None if form == "csv" else np.array(load_features(output).vectors)
    header = max(whole.find(b"{'descr'"), 0)  # of an .npy
    for at in (*range(header, header + 62, 3), *range(5, len(whole), len(whole) // 20)):
        overwrite(output, at, bytes([whole[at] ^ 0x04]))
        try:
            found = verify(output).damages
        except VggfeatError as error:
            found = [str(error)]
        if rows is not None:
            with suppress(VggfeatError):
                read = np.asarray(load_features(output).vectors)
                assert found or read.tobytes() == rows.tobytes(), at
        overwrite(output, at, whole[at : at + 1])


@pytest.mark.parametrize("form", ["safetensors", *sinks.CONTAINERS])
@pytest.mark.parametrize("cut", [0, 5, -1])
def test_a_file_that_was_cut_short_is_damaged(form: str, cut: int) -> None:
    run(output=f"f.{form}")
    os.truncate(f"f.{form}", cut % os.stat(f"f.{form}").st_size)
    (damage, *_) = damages(f"f.{form}")
    assert "whole" in damage or "does not begin as f.json tells" in damage
    assert run(output=f"f.{form}").computed == 3
    assert damages(f"f.{form}") == []


@pytest.mark.parametrize("form", sinks.CONTAINERS)
def test_a_container_that_tells_other_images_than_the_index_is_damaged(form: str) -> None:
    run(output=f"f.{form}")
    shutil.copy(f"f.{form}", "before")
    os.rename(IMAGES[1], "imgs/11.ppm")
    run(output=f"f.{form}")
    shutil.copy("before", f"f.{form}")
    assert any("1 whole rows, but 3 are listed" in damage for damage in damages(f"f.{form}"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_row_that_is_no_numbers_is_found_though_its_checksum_is_right(value: float) -> None:
    run()
    vector = np.load("f.npy")[1]
    vector[7] = value
    write_row(1, vector)
    assert damages() == [f"row 1 ({IMAGES[1]}) holds NaN or infinity"]


def test_the_first_of_many_wrong_rows_are_named_and_the_others_counted() -> None:
    for number in range(20, 32):
        put(f"imgs/{number}.ppm", number)
    run()
    overwrite("f.npy", HEADER, bytes(15 * ROW))
    assert len(damages()) == 11
    assert damages()[-1] == "5 more rows are wrong"


@pytest.mark.parametrize("name", ["f.index.csv", "f.json", "f.failed.csv", "f.npy"])
def test_a_file_of_another_run_is_found(name: str) -> None:
    """That has as many rows and failures."""
    Path("imgs/bad.ppm").write_bytes(b"junk")
    run()
    os.mkdir("other")
    put(IMAGES[0], 77)
    os.rename("imgs/bad.ppm", "imgs/worse.ppm")
    run(output="other/f.npy")
    shutil.copy(f"other/{name}", name)
    (damage,) = damages()
    if name == "f.npy":
        assert damage == f"row 0 ({IMAGES[0]}) has not the checksum that is listed"
    else:
        assert damage.endswith("f.index.csv and f.json do not belong together")


@pytest.mark.parametrize("output", ["f.npy", "f.csv"])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda output: os.truncate(output, os.stat(output).st_size - 1), "2 whole rows, but 3"),
        (lambda output: os.truncate(output, 5), "does not begin as f.json tells"),
        (lambda output: Path(output).write_bytes(b""), "does not begin as"),
        (lambda output: Path(output).write_bytes(b"of another program"), "does not begin as"),
        (lambda _: os.unlink("f.index.csv"), "f.index.csv is missing"),
        (lambda _: Path("f.index.csv").write_bytes(b""), "do not belong together"),
        (lambda _: tell(failed=1), "1 failed are told, but 0 are listed"),
        (lambda _: tell(generation=None), "do not belong together"),
    ],
)
def test_what_is_not_whole_is_damaged(
    damage: Callable[[str], object], said: str, output: str
) -> None:
    run(output=output)
    damage(output)
    assert any(said in found for found in damages(output))


def test_another_number_than_is_told_is_damaged() -> None:
    """The header of an .npy file tells it too, that of a .csv file does not."""
    run(output="f.csv")
    tell(rows=2)
    assert damages("f.csv") == ["2 rows are told, but 3 are listed"]


def test_rows_that_a_run_is_about_to_add_are_no_damage() -> None:
    run()
    overwrite("f.npy", os.stat("f.npy").st_size, bytes(ROW))
    assert damages() == []
    run(output="g.csv")
    overwrite("g.csv", os.stat("g.csv").st_size, b"4.ppm,1,2\n")
    assert any("bytes, but" in found for found in damages("g.csv"))


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        (["f.json"], "f.npy: there is no f.json beside it"),
        (["f.json", "f.index.csv"], "vggfeat did not write it"),
        (["f.npy"], "f.npy: cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_looked_through_is_one_sentence(lost: list[str], said: str) -> None:
    run()
    for name in lost:
        os.unlink(name)
    with pytest.raises(VggfeatError, match=said):
        verify("f.npy")


def outdated(*against: str) -> dict[str, int]:
    found = verify("f.npy", against=against or ["imgs"])
    assert found.damages == []
    return found.outdated


def test_images_that_have_changed_since_are_counted() -> None:
    put("imgs/4.ppm", 4)
    Path("imgs/bad.ppm").write_bytes(b"junk")
    os.utime("imgs/bad.ppm", (1, 1))
    Path("imgs/dangling.ppm").symlink_to("nowhere")
    run()
    assert outdated() == {}
    os.utime("imgs/1.ppm", (1, 1))
    assert outdated() == {}
    put("imgs/2.ppm", 2)
    put("imgs/3.ppm", 33)
    os.unlink("imgs/4.ppm")
    assert outdated() == {"new": 1, "changed": 1, "gone": 1}
    os.rename("imgs/10.ppm", "imgs/11.ppm")
    assert outdated() == {"new": 1, "changed": 1, "moved": 1, "gone": 2}
    run()
    assert outdated() == {}
    assert outdated("imgs/1.ppm")["gone"] == 5


def test_images_that_have_changed_places_have_changed() -> None:
    run()
    exchange()
    assert sum(outdated().values()) == 2


def test_an_image_that_has_changed_under_a_fresh_stamp_has_changed() -> None:
    os.utime(IMAGES[0], ns=(FUTURE, FUTURE))
    run()
    assert outdated() == {}
    replace_unnoticed(IMAGES[0], 77)
    assert sum(outdated().values()) == 1


@pytest.mark.parametrize("output", ["f.npy", "f.csv", "f.parquet"])
@pytest.mark.parametrize("options", [{}, {"layer": "pool5", "resize": 224, "fast_decode": True}])
def test_rows_that_are_right_are_so_when_they_are_computed_again(
    output: str, options: dict[str, Any]
) -> None:
    Image.effect_noise((1200, 900), 80).save("imgs/large.jpg")
    run(output=output, **options)
    for count in (2, 10):
        found = verify(output, recompute=count)
        assert found.damages == []
        assert found.recomputed == found.bit_equal == min(count, 4)


def test_a_row_of_another_image_is_found_though_its_checksum_is_right() -> None:
    run()
    write_row(0, np.load("f.npy")[2])
    assert damages() == []
    found = verify("f.npy", recompute=3)
    (damage,) = found.damages
    assert damage.startswith(f"row 0 ({IMAGES[0]}) is off by ")
    assert found.recomputed == found.bit_equal == 2


def test_rows_of_images_that_are_others_now_are_not_computed_again() -> None:
    run()
    put(IMAGES[0], 77)
    os.unlink(IMAGES[1])
    found = verify("f.npy", recompute=3)
    assert (found.damages, found.recomputed) == ([], 1)


def test_rows_of_images_in_an_archive_are_computed_again() -> None:
    with tarfile.open("imgs.tar", "w") as archive:
        archive.add("imgs")
    run("imgs.tar")
    found = verify("f.npy", recompute=3)
    assert (found.damages, found.recomputed) == ([], 3)


def test_rows_cannot_be_computed_again_with_other_weights() -> None:
    run()
    with pytest.raises(VggfeatError, match="^rows cannot be computed again: weights .*--weights$"):
        verify("f.npy", recompute=1, weights=networks.weights(seed=5))


def test_what_a_run_is_replacing_meanwhile_is_never_damaged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(published, "_PATIENCE", 10)  # a busy disk may hold a run up

    def run_on_and_on() -> None:
        for number in range(20):
            put(f"imgs/{number % 12}.ppm", 100 + number)
            run(fresh=number % 8 == 0)

    run()
    other = threading.Thread(target=run_on_and_on)
    other.start()
    found = set()
    while other.is_alive():
        found |= set(damages())
    assert found == set()
