"""Parts as .npy files, each with companions as those beside `feats.npy`.

`part-00000.npy` (of several layers `part-00000.fc7.npy` and so on), `part-00000.index.csv`,
`part-00000.failed.csv` if an image failed, and `part-00000.json`, which tells of them: it goes
first and comes last when a part is replaced.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format

from vggfeat.dataset.folder import Folder
from vggfeat.dataset.forms import Layers, SizeOf
from vggfeat.dataset.part import Made, part_name
from vggfeat.outcome import Failure, Numbers
from vggfeat.sinks import npy
from vggfeat.sinks.index import (
    Entry,
    encode_about,
    encode_failed,
    encode_index,
    entries,
    failures,
)
from vggfeat.sinks.published import generation
from vggfeat.sinks.rows import checksum
from vggfeat.sinks.vectors import file_names

TELLS = ".json"

_DAMAGED = (OSError, ValueError, TypeError, KeyError, AttributeError)


def number(file: str) -> int | None:
    end = r"\.(?:(?:[\w.]+\.)?npy|index\.csv|failed\.csv|json)"
    found = re.fullmatch(rf"part-(\d{{5,}}){end}", file)
    return int(found[1]) if found else None


def nbytes(name: str, layers: Iterable[str], size_of: SizeOf) -> int:
    return sum(size_of(file) or 0 for file in _files(name, layers))


def _files(name: str, layers: Iterable[str]) -> list[str]:
    return file_names(Path(f"{name}.npy"), list(layers))


def made(folder: Folder, name: str, size_of: SizeOf) -> Made | None:
    if size_of(f"{name}.json") is None:
        return None
    with suppress(FileNotFoundError, *_DAMAGED):
        about = json.loads(folder.read(f"{name}.json"))
        there = {layer["file"]: layer["bytes"] for layer in about["layers"]}
        there[f"{name}.index.csv"] = about["part"]["index_bytes"]
        if all(size_of(file) == size for file, size in there.items()):
            return _made(about)
    return None


def _made(about: Mapping[str, Any]) -> Made:
    told = {key: value for key, value in about["part"].items() if key in Made._fields}
    return Made.decode(json.dumps(told | {"settings": dict(about)}).encode())


def is_foreign(folder: Folder, name: str, size_of: SizeOf) -> bool:
    """Whether what tells of it tells of something else, or stands alone."""
    try:
        return "vggfeat" not in json.loads(folder.read(f"{name}.json"))
    except (FileNotFoundError, *_DAMAGED):
        return False


def open(folder: Folder, number: int, size_of: SizeOf) -> NpyPart | None:  # noqa: A001
    name = part_name(number)
    if size_of(f"{name}.json") is None:
        return None
    with suppress(FileNotFoundError, *_DAMAGED), ExitStack() as opened:
        about = json.loads(folder.read(f"{name}.json"))
        index = folder.read(f"{name}.index.csv")
        failed = folder.read(f"{name}.failed.csv") if about["failed"] else b""
        if generation(index, failed) != about["generation"]:
            return None
        held = [opened.enter_context(folder.hold(layer["file"])) for layer in about["layers"]]
        told = list(failures(failed)) if failed else []
        part = NpyPart(number, _made(about), list(entries(index)), told, held)
        opened.pop_all()
        return part
    return None


class NpyPart:
    """See `Old`. Raises one of many errors where it is damaged anywhere."""

    def __init__(
        self,
        number: int,
        told: Made,
        listed: list[Entry],
        failed: list[Failure],
        held: Sequence[BinaryIO],
    ) -> None:
        self.number = number
        self.made = told
        self.entries = listed
        self.failures = failed
        self._held = held
        self._rows: list[Numbers] = []
        for row, entry in enumerate(listed):
            if [checksum(numbers) for numbers in self.features(row)] != entry.crc32s:
                raise ValueError(f"row {row} is not the one that is listed")
        self.rest()

    def features(self, row: int) -> tuple[Numbers, ...]:
        if not self._rows:
            self._rows = [_mapped(file, len(self.entries)) for file in self._held]
        return tuple(rows[row] for rows in self._rows)

    def rest(self) -> None:
        self._rows = []

    def close(self) -> None:
        self.rest()
        for file in self._held:
            file.close()


def _mapped(file: BinaryIO, count: int) -> Numbers:
    """Its rows, flat. Raises ValueError where there are not so many."""
    file.seek(0)
    if npy_format.read_magic(file) != (1, 0):
        raise ValueError("its header is not vggfeat's")
    shape, _, dtype = npy_format.read_array_header_1_0(file)
    if shape[0] != count:
        raise ValueError("rows are missing")
    if not count:
        return np.empty((0, 0), dtype)
    return np.memmap(file, dtype, "r", file.tell(), shape).reshape(count, -1)


@contextmanager
def write(folder: Folder, name: str, layers: Layers) -> Iterator[NpyWriter]:
    with ExitStack() as spools:
        yield NpyWriter(folder, name, layers, spools)


class NpyWriter:
    """See `PartWriter`."""

    def __init__(self, folder: Folder, name: str, layers: Layers, spools: ExitStack) -> None:
        self._folder = folder
        self._name = name
        self._layers = layers
        self._entries: list[Entry] = []
        self._files = _files(name, (layer for layer, _ in layers))
        self._spooled = [spools.enter_context(folder.spool(file)) for file in self._files]
        for (_, kind), file, spooled in zip(layers, self._files, self._spooled, strict=True):
            with folder.writing(file):
                spooled.write_bytes(npy.header(0, kind))

    def add(self, listed: Sequence[Entry], features: Sequence[Numbers]) -> None:
        names = [entry.name for entry in listed]
        for numbers, file, spooled in zip(features, self._files, self._spooled, strict=True):
            with self._folder.writing(file), spooled.open("ab") as opened:
                opened.write(npy.encode(names, numbers))
        for row, entry in enumerate(listed):
            crc32 = " ".join(checksum(numbers[row].reshape(-1)) for numbers in features)
            self._entries.append(entry._replace(crc32=crc32))

    def publish(self, told: Made, failed: Sequence[Failure]) -> int:
        index, listed = encode_index(self._entries), encode_failed(failed)
        about = told.settings | {
            "layers": [],
            "output": f"{self._name}.npy",
            "rows": told.rows,
            "failed": told.failed,
            "began_ns": told.began_ns,
            "generation": generation(index, listed),
            "runs": [],
            "part": told._replace(settings={})._asdict() | {"index_bytes": len(index)},
        }
        companions = {f"{self._name}.index.csv": index, f"{self._name}.failed.csv": listed}
        if self._folder.size(f"{self._name}.json") is not None:
            self._folder.remove(f"{self._name}.json")
        for (_, kind), layer, file, spooled in zip(
            self._layers, told.settings["layers"], self._files, self._spooled, strict=True
        ):
            with self._folder.writing(file):
                with spooled.open("rb+") as opened:
                    opened.write(npy.header(told.rows, kind))
                info = spooled.stat()
            about["layers"].append(
                layer | {"file": file, "bytes": info.st_size, "mtime_ns": info.st_mtime_ns}
            )
            self._folder.put(spooled, file)
        for file, data in companions.items():
            if data:
                self._folder.put_bytes(file, data)
            elif self._folder.size(file) is not None:
                self._folder.remove(file)
        self._folder.put_bytes(f"{self._name}.json", encode_about(about))
        return sum(layer["bytes"] for layer in about["layers"])
