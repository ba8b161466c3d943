"""Units: each image of a run in one of them, in order, and what they are made from."""

from __future__ import annotations

import itertools
import os
import pickle
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest

from tests.sources import on_stdin
from tests.sources.archives import COMPRESSIONS, parquet, tar, whole, zipped
from vggfeat.errors import VggfeatError
from vggfeat.sources import open_inputs
from vggfeat.sources.skipped import Skipped
from vggfeat.sources.units import Unit, open_units

MEMBERS = [(f"{number}.jpg", b"%d" % number) for number in range(5)]


@pytest.fixture
def places(tmp_path: Path) -> list[str]:
    """The same five images in every form."""
    (tmp_path / "folder").mkdir()
    for name, data in MEMBERS:
        (tmp_path / "folder" / name).write_bytes(data)
    (tmp_path / "x.tar").write_bytes(tar(MEMBERS))
    (tmp_path / "x.tar.gz").write_bytes(COMPRESSIONS[".gz"](tar(MEMBERS)))
    (tmp_path / "x.zip").write_bytes(zipped(MEMBERS))
    (tmp_path / "x.parquet").write_bytes(parquet(pa.table({"image": [d for _, d in MEMBERS]})))
    files, there = fsspec.filesystem("memory"), f"memory://{tmp_path.name}"
    for name, data in MEMBERS:
        files.pipe(f"/{tmp_path.name}/folder/{name}", data)
    archives = ["x.tar", "x.tar.gz", "x.zip", "x.parquet"]
    for name in archives:
        files.pipe(f"/{tmp_path.name}/{name}", (tmp_path / name).read_bytes())
    names = ["folder", *archives]
    return [f"{root}/{name}" for root in (tmp_path, there) for name in names]


def images(units: list[Unit]) -> list[tuple[str, bytes]]:
    refs = (ref for unit in units for ref in unit.images(Skipped()))
    return [(ref.name, bytes(ref.read().data)) for ref in refs]  # type: ignore[arg-type]


def test_the_same_images_in_any_form_are_the_same_bytes_in_the_same_order(
    places: list[str],
) -> None:
    for place in places:
        assert [data for _, data in whole(place)] == [data for _, data in MEMBERS]
    for one, other in itertools.pairwise(places):
        assert len(whole(one, other)) == 10


@pytest.mark.parametrize("most", [1, 2, 5, 100])
def test_all_units_together_are_all_inputs(places: list[str], most: int) -> None:
    units = list(open_units(places, most).units)
    sent = pickle.loads(pickle.dumps(units))

    assert images(sent) == images(units) == whole(*places)
    sizes = [len(images([unit])) for unit in units]
    assert all(size <= most for size, unit in zip(sizes, units, strict=True) if not is_tar(unit))
    assert len({tuple(unit.inputs()) for unit in units}) == len(units)


def is_tar(unit: Unit) -> bool:
    return ".tar" in unit.name


def test_files_fill_units_until_an_archive_comes(places: list[str]) -> None:
    folder, shard = places[0], places[1]

    units = list(open_units([folder, folder, shard, folder], 4).units)

    assert [len(images([unit])) for unit in units] == [4, 4, 2, 5, 4, 1]
    assert [unit.name for unit in units[2:4]] == [f"{folder}/3.jpg", shard]


def test_inputs_are_files_with_their_stamps(places: list[str], tmp_path: Path) -> None:
    os.utime(tmp_path / "x.tar", ns=(0, 7))
    size = (tmp_path / "x.tar").stat().st_size

    units = list(open_units(places[:2], 9).units)

    assert list(units[0].inputs()) == [(r.name, r.stamp()) for r in open_inputs(places[:1])]
    assert list(units[1].inputs()) == [(places[1], (size, 7))]


def test_units_of_a_list_come_as_its_lines_do(places: list[str]) -> None:
    reading, writing = os.pipe()
    with on_stdin(os.fdopen(reading, "rb")), os.fdopen(writing, "wb", buffering=0) as writer:
        units = iter(open_units(["-"], 9).units)
        writer.write(places[1].encode() + b"\n")
        assert next(units).name == places[1]
        writer.write(b"gone.jpg\n")
        writer.close()
        (rest,) = units
    assert list(rest.inputs()) == [("gone.jpg", None)]


def test_what_is_not_there_is_told_before_anything_is_listed(places: list[str]) -> None:
    with pytest.raises(VggfeatError, match="^gone.tar: no such file or folder$"):
        open_units([*places, "gone.tar"], 9)


def test_what_was_passed_over_is_counted(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    (tmp_path / "x.tar").touch()
    opened = open_units([str(tmp_path)], 9)

    assert list(opened.units) == []
    assert str(opened.skipped) == "1 not an image, 1 an archive (to read, name it)"
