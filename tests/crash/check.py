"""What must hold of an output's folder after a run was cut off, and after the next."""

from __future__ import annotations

import contextlib
import json
import os
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from tests.crash.scene import Scene
from vggfeat import load_features
from vggfeat.errors import VggfeatError
from vggfeat.sinks import published as generations

_UNLIKE = ("runs", "began_ns")  # of two runs with the same result


def whole(scene: Scene, output: Path) -> None:
    """What is published is that of the old or of the new output. Raises AssertionError."""
    for name in scene.vectors:
        _is_old_or_new(output / name, [folder / name for folder in (scene.old, scene.new)])


def _is_old_or_new(file: Path, wanted: list[Path]) -> None:
    if not file.exists():
        assert not all(path.exists() for path in wanted), f"{file.name} has vanished"
        return
    found, *known = [_content(path) for path in (file, *wanted) if path.exists()]
    assert any(np.array_equal(found, one) for one in known), f"{file.name} is neither old nor new"
    if file.suffix == ".npy":
        _loads(file, [path for path in wanted if path.exists()])


def _content(file: Path) -> NDArray[Any]:
    return np.load(file) if file.suffix == ".npy" else np.fromfile(file, np.uint8)


def _loads(file: Path, known: list[Path]) -> None:
    try:
        with mock.patch.object(generations, "_PATIENCE", 0.0):  # no run is there to wait for
            vectors, paths = load_features(file)
    except VggfeatError:
        return
    for path in known:
        rows = load_features(path)
        if rows.paths == paths and np.array_equal(rows.vectors, vectors):
            return
    raise AssertionError("load_features gives a set that is neither old nor new")


def same(scene: Scene, output: Path, state: str = "after") -> None:
    """The output is that of an undisturbed run, and nothing else is there."""
    calm = scene.new if state == "after" else scene.old
    # What a dead run has locked of layers that nobody asks for any more locks nothing.
    locks = f".{Path(scene.output).stem}.*.lock"
    names = sorted(name for name in os.listdir(output) if not fnmatch(name, locks))
    wanted = sorted(os.listdir(calm))
    assert names == wanted, f"the folder holds {', '.join(names)}; wanted: {', '.join(wanted)}"
    for name in names:
        if name.endswith(".json"):
            assert _lasting(output / name) == _lasting(calm / name), f"{name} differs"
        else:
            assert (output / name).read_bytes() == (calm / name).read_bytes(), f"{name} differs"


def published(scene: Scene, output: Path) -> None:
    """The new output is published; other files may be there as well."""
    for path in scene.new.iterdir():
        if path.suffix != ".json":
            found = (output / path.name).read_bytes()
            assert found == path.read_bytes(), f"{path.name} differs"


def rows_there(scene: Scene, output: Path) -> set[str]:
    """sha256 of the images whose rows of the present settings are in an output or on the way."""
    stem = Path(scene.output).stem
    there = _told(output / f"{scene.output}.journal")
    index = output / f"{stem}.index.csv"
    wanted = scene.new / index.name
    if scene.settings_stay or (index.exists() and index.read_bytes() == wanted.read_bytes()):
        there.update(_listed(index))
    return there


def rows_missing(scene: Scene, there: set[str]) -> int:
    """Images of the new output that are to be computed when rows of some contents are there."""
    wanted = _listed(scene.new / f"{Path(scene.output).stem}.index.csv")
    return sum(sha256 not in there for sha256 in wanted)


def computed(scene: Scene, output: Path) -> int:
    """Images which the last run says it has computed."""
    about = json.loads((output / f"{Path(scene.output).stem}.json").read_bytes())
    return int(about["runs"][-1]["computed"])


def _told(journal: Path) -> set[str]:
    """Of the lines about rows, as far as they are whole: `[name, stamp, sha256, crc32]`."""
    if not journal.exists():
        return set()
    _, *lines = journal.read_bytes().split(b"\n")
    told: list[Any] = []
    with contextlib.suppress(ValueError):
        told += map(json.loads, lines[:-1])
    return {str(line[2]) for line in told if len(line) == 4}


def _listed(index: Path) -> list[str]:
    if not index.exists():
        return []
    return [line.split(",")[4] for line in index.read_text().splitlines()[1:]]


def _lasting(about: Path) -> dict[str, Any]:
    read = json.loads(about.read_bytes())
    for layer in read["layers"]:
        del layer["mtime_ns"]
    return {key: value for key, value in read.items() if key not in _UNLIKE}
