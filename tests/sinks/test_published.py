"""An output and its companions are read as one generation, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.sinks.outputs import Run, failure, files, row, rows
from vggfeat import VggfeatError, sinks
from vggfeat.outcome import Failure
from vggfeat.sinks import published
from vggfeat.sinks.index import beside
from vggfeat.sinks.published import Published, TornError, read

IMAGES = [row(0), failure("bad.jpg"), row(1), Failure("gone.jpg", "no such file")]
COMPANIONS = ["f.json", "f.index.csv", "f.failed.csv"]


@pytest.fixture(params=sinks.FORMS)
def output(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    Run(tmp_path / f"f.{request.param}", IMAGES).publish()
    return tmp_path / f"f.{request.param}"


@pytest.fixture
def other(output: Path) -> Path:
    """An output of another run that has as many rows and failures."""
    other = output.parent / "other" / output.name
    other.parent.mkdir()
    Run(other, [*IMAGES[:2], row(2), IMAGES[3]]).publish()
    return other


def change(output: Path, /, **changed: object) -> None:
    """Change what is told of an output."""
    path = beside(output).about
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def there(output: Path) -> Published:
    found = read(output)
    assert found is not None
    return found


def test_what_was_published_is_read(output: Path) -> None:
    found = there(output)
    assert [(entry.name, entry.stamp, entry.sha256) for entry in found.entries] == [
        image[:3] for image in rows([0, 1])
    ]
    assert found.failures == [IMAGES[1], IMAGES[3]]
    assert found.about["layers"][0]["bytes"] == output.stat().st_size
    companions = files(output.parent)
    digest = hashlib.sha256(companions["f.index.csv"] + companions["f.failed.csv"]).hexdigest()
    assert found.about["generation"] == digest


def test_without_failures_no_list_of_them_is_read(output: Path) -> None:
    Run(output, rows([0])).publish()
    assert not beside(output).failed.exists()
    assert there(output).failures == []


def test_where_nothing_is_published_nothing_is_read(output: Path) -> None:
    beside(output).about.unlink()
    assert read(output) is None


@pytest.mark.parametrize("name", COMPANIONS)
def test_companions_of_two_runs_are_told_from_those_of_one(
    output: Path, other: Path, name: str
) -> None:
    Run(other, [row(0), failure("bad.jpg", "another reason"), row(2)]).publish()
    os.replace(other.with_name(name), output.with_name(name))
    with pytest.raises(TornError, match="f.index.csv and f.json do not belong together"):
        read(output)


@pytest.mark.parametrize("name", COMPANIONS)
def test_companions_that_are_missing_or_cut_are_noticed(output: Path, name: str) -> None:
    path = output.with_name(name)
    os.truncate(path, path.stat().st_size - 5)
    with pytest.raises(TornError, match="do not belong together"):
        read(output)
    path.unlink()
    if name != "f.json":
        with pytest.raises(TornError):
            read(output)


def test_an_index_that_is_missing_is_named(output: Path) -> None:
    beside(output).rows.unlink()
    with pytest.raises(TornError, match=f"^{output.parent}/f.index.csv is missing"):
        read(output)


def test_an_index_that_cannot_be_read_is_a_sentence(output: Path) -> None:
    beside(output).rows.unlink()
    beside(output).rows.mkdir()
    with pytest.raises(VggfeatError, match="f.index.csv: cannot be read: Is a dir") as caught:
        read(output)
    assert not isinstance(caught.value, TornError)


LAYER = {"layer": "fc7", "file": "f.npy", "shape": [5], "bytes": 5000, "mtime_ns": 7}
TOLD = [
    "output", "generation", "format", "dtype", "normalize", "weights", "preprocessing", "layers",
    "engine", "versions", "rows", "failed", "began_ns", "runs",
]  # fmt: skip


@pytest.mark.parametrize("name", TOLD)
@pytest.mark.parametrize("wrong", [None, 1.5])
def test_what_is_told_must_be_there_and_of_its_kind(output: Path, name: str, wrong: object) -> None:
    change(output, **{name: wrong})
    with pytest.raises(TornError):
        read(output)
    assert published.about_at(beside(output).about) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"format": "xml"},
        {"dtype": "int8"},
        {"preprocessing": {"decode": "exact", "resize": "256", "crop": 224}},
        {"preprocessing": {"resize": 256, "crop": 224}},
        {"weights": {"source": "keras"}},
        {"runs": [{"replaced": ["../f.npy"]}]},
        {"layers": []},
        {"layers": [LAYER | {"shape": [1.5]}]},
        {"layers": [LAYER | {"shape": [0]}]},
        {"layers": [LAYER | {"shape": [10**30]}]},
        {"layers": [LAYER | {"file": "../f.npy"}]},
        {"layers": [{}]},
        {"layers": ["fc7"]},
    ],
)
def test_what_another_version_has_written_is_not_read(
    output: Path, changed: dict[str, Any]
) -> None:
    change(output, **changed)
    with pytest.raises(TornError):
        read(output)
