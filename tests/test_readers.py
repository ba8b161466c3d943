"""The lines of the README by which other programs read the files: each gives the rows and paths."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests import networks
from vggfeat import extract, sinks

README = (Path(__file__).parent.parent / "README.md").read_text()
SECTION = re.compile(r"^## Read it with .*?(?=^## |\Z)", re.M | re.S)

NAMES = [f"imgs/{number}, é.png" for number in range(7)]
IN_ANY_ORDER = {"pyspark", "ray"}


def blocks() -> list[str]:
    """The Python of the section."""
    section = SECTION.search(README)
    return re.findall(r"^```python\n(.*?)^```$", section[0], re.M | re.S) if section else []


def imported(block: str) -> list[str]:
    """The packages that it takes."""
    return re.findall(r"^(?:import|from) (\w+)", block, re.M)


def name(block: str) -> str:
    """What tells it from the others."""
    return "-".join(package for package in imported(block) if package not in ("csv", "numpy"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`feats/` and `feats.` of all forms, of the same images."""
    place = tmp_path_factory.mktemp("readers")
    weights = networks.weights(networks.NARROW | {"fc7": 4096})
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        os.mkdir("imgs")
        for number, image in enumerate(NAMES):
            Image.effect_noise((80, 60), 40 + 20 * number).save(image)
        extract("imgs", "feats/", weights=weights, engine="ncnn")
        for form in sinks.FORMS:  # each in a folder, since all would have the same companions
            os.mkdir(form)
            extract("imgs", f"{form}/feats.{form}", weights=weights, engine="ncnn")
            shutil.copy(f"{form}/feats.{form}", place)
        shutil.copy("npy/feats.index.csv", place)
    return place


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What starts processes does so for as little as can be, and ends them."""
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "--master local[1] pyspark-shell")
    yield
    if "pyspark" in sys.modules:
        from pyspark.sql import SparkSession

        if session := SparkSession.getActiveSession():
            session.stop()
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


@pytest.mark.skipif(not blocks(), reason="the README has no such section")
def test_all_readers_are_there() -> None:
    told = {package for block in blocks() for package in imported(block)}
    assert told >= {
        "pandas", "polars", "duckdb", "pyspark", "ray", "faiss", "sklearn", "pyarrow", "h5py",
        "safetensors", "torch",
    }  # fmt: skip


@pytest.mark.parametrize("block", [pytest.param(block, id=name(block)) for block in blocks()])
def test_the_lines_give_rows_and_paths(
    block: str, folder: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in imported(block):
        pytest.importorskip(package)
    monkeypatch.chdir(folder)
    if "ray" in imported(block):
        sys.modules["ray"].init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    found: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), found)
    vectors, paths = np.asarray(found["vectors"]), [str(path) for path in found["paths"]]
    assert vectors.dtype == np.float32
    assert sorted(paths) == sorted(NAMES)
    assert paths == NAMES or set(imported(block)) & IN_ANY_ORDER
    expected = np.load("feats.npy")[[NAMES.index(path) for path in paths]]
    np.testing.assert_array_equal(vectors, expected)


@pytest.mark.parametrize("file", ["feats.parquet", "feats/part-00000.parquet"])
def test_the_files_have_plain_arrow_types_and_no_words_of_other_programs(
    folder: Path, file: str
) -> None:
    schema = pq.read_schema(folder / file)
    assert [(field.name, field.type) for field in schema] == [
        ("path", pa.string()),
        ("fc7", pa.list_(pa.field("element", pa.float32(), nullable=False), 4096)),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("sha256", pa.string()),
    ]
    words = [*(schema.metadata or {}), *(key for field in schema for key in field.metadata or {})]
    assert {word.partition(b":")[0] for word in words} <= {b"vggfeat", b"shape", b"PARQUET"}
