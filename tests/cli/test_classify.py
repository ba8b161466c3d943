"""`vggfeat classify`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import click
import pytest
from PIL import Image

from tests import networks
from tests.cli.inside import run
from vggfeat import VggfeatError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures, of which one has an odd name, and a file that is none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "imgs").mkdir()
    for name, pixels in zip(("1.png", "2, odd.png"), networks.pictures(2), strict=True):
        Image.fromarray(pixels).save(tmp_path / "imgs" / name)
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    return tmp_path


def test_in_a_pipe_it_is_csv_row_by_row(narrow_file: Path) -> None:
    done = run("classify", "imgs", "-w", narrow_file, "--top", "2")
    assert done.stdout.startswith(b"path,rank,probability,class,wnid,name\n")
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    assert [(row["path"], row["rank"]) for row in rows] == [
        (f"imgs/{name}", rank) for name in ("1.png", "2, odd.png") for rank in "12"
    ]
    for row in rows:
        assert (row["wnid"], row["name"]) == ("", f"class {row['class']}")
        assert 0 <= float(row["probability"]) <= 1
    assert done.stderr == ""


def test_a_bad_image_costs_itself_alone(narrow_file: Path) -> None:
    listed = b"imgs/1.png\0bad.jpg\0gone.jpg\0imgs/2, odd.png\0"
    asked = ("-", "-0", "-w", narrow_file, "--top", "1", "-o", "c.json")
    done = run("classify", *asked, stdin=listed, code=3)
    told = json.loads(Path("c.json").read_bytes())
    assert [row["path"] for row in told] == ["imgs/1.png", "imgs/2, odd.png"]
    first, second = done.stderr.splitlines()
    assert first.startswith("vggfeat: bad.jpg: not an image")
    assert second == "vggfeat: gone.jpg: No such file or directory"


def test_a_table_shows_probability_and_name(narrow_file: Path) -> None:
    done = run("classify", "imgs/1.png", "-w", narrow_file, "--format", "table")
    title, *lines = done.stdout.decode().splitlines()
    assert title == "imgs/1.png"
    assert len(lines) == 5
    probabilities = [float(line.split()[0]) for line in lines]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(line.split()[1] == "class" for line in lines)


def test_what_cannot_be_asked_for_is_refused(narrow_file: Path) -> None:
    for wrong in (("-0", "imgs"), ("--top", "0", "imgs"), ("--format", "paths", "imgs")):
        with pytest.raises(click.UsageError):
            run("classify", *wrong, "-w", narrow_file)
    with pytest.raises(VggfeatError, match=r"none\.jpg: no such file or folder"):
        run("classify", "none.jpg", "-w", narrow_file)
    with pytest.raises(VggfeatError, match=r"c\.csv: cannot be written: No such file or directory"):
        run("classify", "imgs", "-w", narrow_file, "-o", "no/c.csv")
