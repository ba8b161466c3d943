"""Folders of small networks and small parts, and what an independent reader finds in them."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests import networks
from vggfeat import Report, extract, vgg16
from vggfeat.weights.formats import canonical

WIDTHS = dict.fromkeys(vgg16.WIDTHS, 4) | {"fc6": 6, "fc7": 5, "fc8": 10}
WEIGHTS = [networks.weights(WIDTHS, seed) for seed in (1, 3)]
IMAGES = 3  # in a part
LONG_AGO = 10**18  # ns


class Content(NamedTuple):
    """What is in a folder, part by part.

    Attributes:
        rows: path, vectors as bytes, size, mtime_ns, sha256.
        failures: path, reason, size, mtime_ns.
    """

    rows: list[list[tuple[Any, ...]]]
    failures: list[list[tuple[Any, ...]]]


def run(inputs: Any, output: str = "feats/", seed: int = 0, **options: Any) -> Report:
    """Extract by one of the small networks."""
    return extract(inputs, output, weights=WEIGHTS[seed], engine="ncnn", **options)


def in_parts_of_three(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be where `imgs` has eight images, and the command takes a small network and small parts."""
    monkeypatch.chdir(place)
    monkeypatch.setattr("vggfeat.dataset.job.MOST_IMAGES", IMAGES)
    canonical.write(WEIGHTS[0], place / "narrow.safetensors")
    monkeypatch.setenv("VGGFEAT_WEIGHTS", str(place / "narrow.safetensors"))
    pictures("imgs", 8)


def pictures(folder: str | Path, count: int, first: int = 0) -> list[str]:
    """Images of 8x8 pixels, all different, of long ago; their paths."""
    os.makedirs(folder, exist_ok=True)
    generator, paths = np.random.default_rng(first), []
    for number in range(first, first + count):
        paths.append(path := f"{folder}/{number}.ppm")
        Path(path).write_bytes(b"P6 8 8 255 " + generator.bytes(8 * 8 * 3))
        os.utime(path, ns=(LONG_AGO + number, LONG_AGO + number))
    return paths


def content(folder: str | Path) -> Content:
    """Read without a line of vggfeat's."""
    files = sorted(Path(folder).glob("part-*.parquet"))
    if files:
        return Content([_rows(file) for file in files], [_failures(file) for file in files])
    tells = sorted(Path(folder).glob("part-*.json"))
    return Content([_npy_rows(file) for file in tells], [_npy_failures(file) for file in tells])


def files(folder: str | Path) -> dict[str, tuple[int, int]]:
    """All files in it, hidden ones too, each with what changes when it is written again."""
    found = (path for path in Path(folder).rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in found
    }


def told(folder: str | Path) -> dict[str, Any]:
    """The manifest."""
    return dict(json.loads(Path(folder, "_vggfeat.json").read_bytes()))


def _rows(file: Path) -> list[tuple[Any, ...]]:
    table = pq.read_table(file)
    layers = table.column_names[1:-3]
    vectors = [np.array(table[layer].to_pylist()) for layer in layers]
    told = [table[name].to_pylist() for name in ("path", "size", "mtime_ns", "sha256")]
    return [
        (path, tuple(layer[row].tobytes() for layer in vectors), *rest)
        for row, (path, *rest) in enumerate(zip(*told, strict=True))
    ]


def _failures(file: Path) -> list[tuple[Any, ...]]:
    failed = file.parent / "_failed" / file.name
    return (
        [tuple(row.values()) for row in pq.read_table(failed).to_pylist()]
        if failed.exists()
        else []
    )


def _npy_rows(tells: Path) -> list[tuple[Any, ...]]:
    name = tells.stem
    vectors = [np.load(path).astype(float) for path in sorted(tells.parent.glob(f"{name}*.npy"))]
    with open(
        tells.with_name(f"{name}.index.csv"), encoding="utf-8", errors="surrogateescape"
    ) as lines:
        index = list(csv.DictReader(lines))
    return [
        (
            it["path"],
            tuple(v[row].tobytes() for v in vectors),
            int(it["size"]),
            int(it["mtime_ns"]),
            it["sha256"],
        )
        for row, it in enumerate(index)
    ]


def _npy_failures(tells: Path) -> list[tuple[Any, ...]]:
    failed = tells.with_name(f"{tells.stem}.failed.csv")
    if not failed.exists():
        return []
    with open(failed, encoding="utf-8", errors="surrogateescape") as lines:
        return [
            (
                it["path"],
                it["reason"],
                *(int(it[k]) if it[k] else None for k in ("size", "mtime_ns")),
            )
            for it in csv.DictReader(lines)
        ]
