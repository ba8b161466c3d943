"""Outputs as runs leave them: images that are made up, and what a run does with them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow.parquet as pq
import safetensors.numpy
from numpy.typing import NDArray

from vggfeat.outcome import Failure, Outcome, Recognised, Row, Stamp
from vggfeat.sinks import arrow
from vggfeat.sinks.files import FileSink
from vggfeat.sinks.known import Kept
from vggfeat.sinks.vectors import file_names

WIDTH = 5
WIDTHS = (WIDTH, 3)  # of two layers, of which most tests have only the first
LONG_AGO = 10**18  # so that a stamp tells all changes

SETTINGS: dict[str, Any] = {
    "vggfeat": "1.0",
    "format": "npy",
    "dtype": "float32",
    "normalize": "none",
    "layers": [{"layer": "fc7", "shape": [WIDTH]}],
    "weights": {"fingerprint": "0123456789abcdef", "source": "keras"},
    "preprocessing": {"decode": "exact", "resize": 256, "crop": 224},
    "engine": "ncnn",
    "precision": "float32",
    "versions": {"pillow": "12.0"},
}


# One form of each kind: that grows, that does not, that is a container.
KINDS = ("npy", "csv", "npz")

ONE_LAYER: list[dict[str, Any]] = SETTINGS["layers"]
TWO_LAYERS = [*ONE_LAYER, {"layer": "pool5:avg", "shape": [WIDTHS[1]]}]


def settings(output: Path, **changed: object) -> dict[str, Any]:
    names = file_names(output, [layer["layer"] for layer in SETTINGS["layers"]])
    layers = [layer | {"file": name} for layer, name in zip(SETTINGS["layers"], names, strict=True)]
    return SETTINGS | {"format": output.suffix[1:], "layers": layers} | changed


def files_of(output: Path) -> list[Path]:
    """Where its vectors are."""
    return [output.with_name(layer["file"]) for layer in settings(output)["layers"]]


def row(number: int, name: str | None = None, mtime_ns: int = LONG_AGO) -> Row:
    """An image of that content."""
    generator = np.random.default_rng(number)
    features = tuple(generator.standard_normal(width).astype(np.float32) for width in WIDTHS)
    sha256 = hashlib.sha256(b"%d" % number).hexdigest()
    return Row(name or f"{number}.jpg", Stamp(100 + number, mtime_ns), sha256, features)


def rows(numbers: Iterable[int]) -> list[Row]:
    return [row(number) for number in numbers]


def failure(name: str, reason: str = "the file is empty", size: int = 0) -> Failure:
    return Failure(name, reason, Stamp(size, LONG_AGO))


class Run:
    """A run that finds these images, one a batch, and computes those of which nothing is known.

    Attributes:
        computed: names of the images that it computed or that failed, in order.
        notes: what it told.
    """

    def __init__(
        self, output: Path, images: Iterable[Row | Failure], *, fresh: bool = False, **changed: Any
    ) -> None:
        self._output = output
        self._images = list(images)
        self.computed: list[str] = []
        self.notes: list[str] = []
        self.sink = FileSink(
            output, settings(output, **changed), fresh=fresh, on_note=self.notes.append
        )

    def work(self) -> list[Kept | Failure]:
        """All but publishing."""
        done: list[Kept | Failure] = []
        for image in self._images:
            if found := self.sink.known.of(image.name, image.stamp):
                done.append(found)
                continue
            outcome: Outcome = image
            if isinstance(image, Row) and image.sha256 in self.sink.contents:
                outcome = Recognised(image.name, image.stamp, image.sha256)
            else:
                self.computed.append(image.name)
            done += self.sink.write([outcome])
        return done

    def publish(self) -> Run:
        done = self.work()
        count = sum(isinstance(item, Kept) for item in done)
        about = {"rows": count, "failed": len(done) - count, "runs": [{}]}
        self.sink.publish(done, about)
        return self


def run(output: Path, images: Iterable[Row | Failure], **options: Any) -> Run:
    """A whole run; its output is checked against that of a run from scratch."""
    done = Run(output, images := list(images), **options).publish()
    assert contents(output) == from_scratch(output, images, **options)
    return done


def cut_off(output: Path, images: Iterable[Row | Failure], **options: Any) -> None:
    """A run that does all its work, and dies before it publishes."""
    Run(output, images, **options).work()


def from_scratch(output: Path, images: Iterable[Row | Failure], **options: Any) -> dict[str, Any]:
    """What is in the files of an output that was made at once, without what times differ in."""
    scratch = output.parent / "scratch" / output.name
    scratch.parent.mkdir(exist_ok=True)
    Run(scratch, images, **options | {"fresh": True}).publish()
    return contents(scratch)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def contents(output: Path) -> dict[str, Any]:
    """What is in an output's folder, without what differs from run to run."""
    found: dict[str, Any] = files(output.parent)
    if "f.json" in found:
        about = json.loads(found["f.json"])
        about["layers"] = [
            {name: layer[name] for name in layer.keys() - {"mtime_ns"}} for layer in about["layers"]
        ]
        found["f.json"] = {name: about[name] for name in about.keys() - {"began_ns", "runs"}}
    return found


def vectors(output: Path) -> NDArray[np.float32]:
    """What NumPy or Python's csv reads, of the first layer."""
    return READERS[output.suffix[1:]](files_of(output)[0].read_bytes())[1]


def read_npy(data: bytes) -> tuple[None, NDArray[np.float32]]:
    return None, np.load(io.BytesIO(data))


def read_csv(data: bytes) -> tuple[list[str], NDArray[np.float32]]:
    header, *lines = csv_lines(data)
    assert header == ["path", *(f"f{number}" for number in range(WIDTH))]
    found = np.array([line[1:] for line in lines], np.float32).reshape(len(lines), WIDTH)
    return [line[0] for line in lines], found


def csv_lines(data: bytes) -> list[list[str]]:
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8", "surrogateescape", newline="")
    return list(csv.reader(text))


def read_safetensors(data: bytes) -> tuple[None, NDArray[np.float32]]:
    tensors = safetensors.numpy.load(data)
    assert tensors.keys() == {"fc7"}
    return None, tensors["fc7"]


def read_npz(data: bytes) -> tuple[list[str], NDArray[np.float32]]:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        assert sorted(arrays) == ["fc7", "path"]
        return arrays["path"].tolist(), arrays["fc7"]


def read_h5(data: bytes) -> tuple[list[str], NDArray[np.float32]]:
    with h5py.File(io.BytesIO(data)) as file:
        assert sorted(file) == ["fc7", "path"]
        return [os.fsdecode(path) for path in file["path"]], file["fc7"][:]


def read_parquet(data: bytes) -> tuple[list[str], NDArray[np.float32]]:
    table = pq.read_table(io.BytesIO(data))
    assert table.column_names == ["path", "fc7", "size", "mtime_ns", "sha256"]
    rows = np.array(table["fc7"].to_pylist(), np.float32).reshape(len(table), WIDTH)
    return [arrow.name_of(path) for path in table["path"].to_pylist()], rows


READERS: dict[str, Callable[[bytes], Any]] = {
    "npy": read_npy, "csv": read_csv, "safetensors": read_safetensors,
    "npz": read_npz, "h5": read_h5, "parquet": read_parquet,
}  # fmt: skip
