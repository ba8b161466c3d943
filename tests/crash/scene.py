"""Folders of small images before and after something changed, and what calm runs make of them."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests import networks
from tests.crash import journal
from tests.crash.server import Server
from vggfeat import vgg16
from vggfeat.weights.formats import canonical

# Names of contents: numbers are images, others are none.
Content = int | str
Folder = Mapping[str, Content]

_WIDTHS = dict.fromkeys(vgg16.CONVOLUTIONS, 2) | {"fc6": 16, "fc7": 64, "fc8": 10}
LONG_AGO = 1_600_000_000

_FULL: Folder = {f"{number}.png": number for number in range(1, 17)} | {
    "4b.png": "empty", "9b.png": "cut", "20.png": "junk", "8c.png": 8, "21.png": "link",
}  # fmt: skip
_OTHERS_FAIL = {"4b.png": "junk", "9b.png": "empty", "9c.png": "cut", "22.png": "empty"}


def _without(*names: str) -> Folder:
    return {name: content for name, content in _FULL.items() if name not in names}


class Change(NamedTuple):
    """What a folder was when its output was made, and what it is now.

    Attributes:
        before: None where there is no output yet.
        options: of the command, now.
        options_before: of the command, when the output was made.
    """

    before: Folder | None
    after: Folder
    options: tuple[str, ...] = ()
    options_before: tuple[str, ...] = ()


_LAYERS = ("--layer", "fc7", "--layer", "pool5:avg")
_CHANGED: Folder = {
    # Removed, changed, renamed, inserted, touched, swapped.
    **_without("2.png", "5.png", "12.png"), "3.png": 30, "5r.png": 5, "6b.png": 31, "0.png": 32,
    "7.png": 7 + 1000, "10.png": 11, "11.png": 10, "17.png": 33,
}  # fmt: skip

CHANGES: dict[str, Change] = {
    "first": Change(None, _FULL),
    "nothing": Change(_FULL, _FULL),
    "appended": Change({name: _FULL[name] for name in list(_FULL)[:8]}, _FULL),
    "middle": Change(_FULL, _CHANGED),
    "shrunk": Change(_FULL, _without("1.png", "14.png", "15.png", "16.png", "20.png")),
    "failures": Change(_FULL, {**_without("20.png"), **_OTHERS_FAIL}),
    "mended": Change(_FULL, _without("4b.png", "9b.png", "20.png", "21.png")),
    "settings": Change(_FULL, _FULL, ("--resize", "300")),
    "two layers": Change(_FULL, _CHANGED, _LAYERS, _LAYERS),
    "more of two layers": Change(_without("15.png", "16.png"), _FULL, _LAYERS, _LAYERS),
    "to two layers": Change(_FULL, _CHANGED, options=_LAYERS),
    "from two layers": Change(_FULL, _CHANGED, options_before=_LAYERS),
}  # fmt: skip


class Scene(NamedTuple):
    """A change played through in calm, and the folders for what disturbs it.

    Attributes:
        old: output of `before`, from nothing; empty where there is none.
        new: output of `after`, from nothing.
        calls: functions and files of an undisturbed run from `old` to `new`.
        computed: images which that run computes.
        seconds: it takes.
    """

    name: str
    output: str
    place: Path
    options: tuple[str, ...]
    old: Path
    new: Path
    calls: list[tuple[str, str]]
    computed: int
    seconds: float
    code: int

    @property
    def decided(self) -> int:
        """Number of the call that replaces the first file of the output."""
        return [function for function, _ in self.calls].index("replace") + 1

    @property
    def settings_stay(self) -> bool:
        """Whether rows of the old output count."""
        return CHANGES[self.name].options_before == self.options

    @property
    def vectors(self) -> set[str]:
        """The names of the files of rows of the old and of the new output."""
        names = [path.name for folder in (self.old, self.new) for path in folder.iterdir()]
        ends = (".json", ".index.csv", ".failed.csv")
        return {name for name in names if not name.endswith(ends)}

    def args(self, output: Path, state: str = "after") -> list[str]:
        options = self.options if state == "after" else CHANGES[self.name].options_before
        return ["extract", "imgs", "-o", str(output / self.output), "-q", "--batch-size", "2",
                "--workers", "1", *options]  # fmt: skip


def environment(place: Path) -> dict[str, str]:
    """A narrow network and a home for the command, in an empty folder."""
    weights = place / "narrow.safetensors"
    canonical.write(networks.weights(_WIDTHS), weights)
    return {
        "HOME": str(place),
        "VGGFEAT_STORE": str(place / "store"),
        "VGGFEAT_WEIGHTS": str(weights),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def make(server: Server, place: Path, name: str, output: str) -> Scene:
    """Play a change through in calm. `place` is made."""
    change = CHANGES[name]
    place.mkdir(parents=True)
    for state, folder in (("before", change.before or {}), ("after", change.after)):
        _fill(place / state / "imgs", folder)
    for empty in ("old", "new", "update", "journal"):
        (place / empty).mkdir()
    scene = Scene(name, output, place, change.options, place / "old", place / "new", [], 0, 0.0, 0)
    if change.before is not None:
        calm(server, scene, scene.old, "before")
    code = calm(server, scene, scene.new, "after")
    update = place / "update"
    copy(scene.old, update)
    spec = f"journal={place / 'journal'},computed={place / 'computed'}"
    ended = server.run(place / "after", scene.args(update), spec)
    assert ended.code == code, f"a calm run from old to new ended with {ended}"
    computed = (place / "computed").stat().st_size
    calls = journal.calls(place / "journal")
    return scene._replace(calls=calls, computed=computed, seconds=ended.seconds, code=code)


def calm(server: Server, scene: Scene, output: Path, state: str) -> int:
    ended = server.run(scene.place / state, scene.args(output, state))
    assert ended.code in (0, 3), ended
    assert ended.stderr == "", ended
    return ended.code


def copy(source: Path, target: Path) -> None:
    """Make a folder hold what another does, and nothing else."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def _fill(folder: Path, contents: Folder) -> None:
    folder.mkdir(parents=True)
    for name, content in contents.items():
        path = folder / name
        if content == "link":
            path.symlink_to("nowhere")
            continue
        path.write_bytes(_data(content))
        # What is the same before and after has the same time as well.
        seconds = LONG_AGO + (content if isinstance(content, int) else len(content))
        os.utime(path, (seconds, seconds))


def _data(content: Content) -> bytes:
    match content:
        case "empty":
            return b""
        case "junk":
            return b"This is no image."
        case "cut":
            return picture(99)[:-100]
        case _:
            return picture(int(content) % 1000)


def picture(number: int) -> bytes:
    """A small PNG like no other."""
    chance = np.random.default_rng(number)
    pixels = chance.integers(0, 256, 3) // 2 + chance.integers(0, 128, (32, 32, 3))
    out = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def names(scenes: Sequence[str] = tuple(CHANGES)) -> list[tuple[str, str]]:
    """Each change with each form of output."""
    return [(name, output) for name in scenes for output in ("feats.npy", "feats.csv")]
