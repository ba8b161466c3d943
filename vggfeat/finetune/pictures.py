"""The pictures to learn from: a folder of folders, one a class, and which of them only judge.

classes/daisy/1.jpg  classes/rose/2.jpg          a part of each class judges
classes/train/daisy/1.jpg  classes/val/rose/2.jpg    `val` or `validation` judges
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from natsort import natsorted

from vggfeat.errors import UsageError, VggfeatError, describe_os_error
from vggfeat.sources.files import SUFFIXES, LocalFile, Skipped, expand

FRACTION = 0.2

_TRAIN = "train"
_VALIDATION = ("val", "validation")
_PARTS = {_TRAIN, *_VALIDATION, "valid", "test"}  # which are no classes


class Picture(NamedTuple):
    """A picture and its class.

    Attributes:
        name: path of its file.
        label: place of its class in `Pictures.classes`.
        judges: whether it is for validation; None where that is still to be chosen.
    """

    name: str
    label: int
    judges: bool | None = None


@dataclass(frozen=True)
class Pictures:
    """All pictures, in natural order.

    Attributes:
        classes: their names.
        pictures: those of one class after the other.
        fraction: of each class that is to judge; None where folders tell.
        digest: stands for all paths, classes, sizes and times of change, as `make` looks at files.
        skipped: what was passed over in the folders, in words.
    """

    classes: tuple[str, ...]
    pictures: tuple[Picture, ...]
    fraction: float | None
    digest: str
    skipped: str


def listed(folder: Path, val: str | None = None) -> Pictures:
    """The pictures of a folder of folders.

    Args:
        folder: one folder a class within it, or `train` and `val` (or `validation`) with them.
        val: another folder of the same classes, or the fraction that judges; None for the
            folder's own `val`, else a fifth.

    Raises:
        UsageError: the fraction is none, or the folder has its own `val`.
        VggfeatError: there are not two classes with pictures, or others are to judge.
    """
    folders = {False: folder}
    fraction = _fraction(val)
    if (own := _own_validation(folder)) and val is not None:
        raise UsageError(f"--val {val}: {own} judges: leave --val away, or take {folder / _TRAIN}")
    if own:
        folders = {False: folder / _TRAIN, True: own}
    elif val is not None and fraction is None:
        folders[True] = Path(val)
    skipped = Skipped()
    found = {judges: _of_classes(place, skipped) for judges, place in folders.items()}
    classes = _checked(found, folders)
    label = {name: number for number, name in enumerate(classes)}
    by_folder = True in folders
    pictures = tuple(
        Picture(file, label[name], judges if by_folder else None)
        for judges, files_of in found.items()
        for name, files in files_of.items()
        for file in files
    )
    return Pictures(
        classes,
        pictures,
        None if by_folder else (FRACTION if fraction is None else fraction),
        _digest(found, folders),
        _told(skipped, folders.values()),
    )


def split(
    pictures: Sequence[Picture], contents: Sequence[str], fraction: float, seed: int
) -> list[Picture]:
    """Choose those that judge: a fraction of each class, and at least one where it has three.

    The content of a picture decides, not its name or place: another picture changes nothing for
    the others but at the border, and copies of one are on one side.

    Args:
        contents: of each picture, as a hash.
    """
    sides: dict[tuple[int, str], bool] = {}
    for label in {picture.label for picture in pictures}:
        of_class = {c for p, c in zip(pictures, contents, strict=True) if p.label == label}
        order = sorted(of_class, key=lambda c: hashlib.sha256(f"{seed}:{c}".encode()).digest())
        # Two of each class are the least to learn from.
        count = min(max(round(fraction * len(order)), 1), max(len(order) - 2, 0))
        sides |= {(label, content): at < count for at, content in enumerate(order)}
    return [
        picture._replace(judges=sides[picture.label, content])
        for picture, content in zip(pictures, contents, strict=True)
    ]


def _fraction(val: str | None) -> float | None:
    """What is no number above 0 and below 1 must be a folder."""
    if val is None or Path(val).is_dir():
        return None
    try:
        number = float(val)
    except ValueError:
        number = 0.0
    if not 0 < number < 1:
        raise UsageError(f"--val {val}: neither a fraction between 0 and 1 nor a folder")
    return number


def _own_validation(folder: Path) -> Path | None:
    if not (folder / _TRAIN).is_dir():
        return None
    return next((folder / name for name in _VALIDATION if (folder / name).is_dir()), None)


def _of_classes(folder: Path, skipped: Skipped) -> dict[str, list[str]]:
    try:
        with os.scandir(folder) as scan:
            names = [e.name for e in scan if e.is_dir() and not e.name.startswith(".")]
    except OSError as error:
        raise VggfeatError(f"{folder}: cannot be listed: {describe_os_error(error)}") from error
    files: dict[str, list[str]] = {}
    for name in natsorted(names):
        files[name] = []
        for place in expand(str(folder / name), skipped):
            if not isinstance(place, LocalFile):
                raise VggfeatError(f"{place.name}: {place.reason}")
            files[name].append(place.name)
    return files


def _told(skipped: Skipped, folders: Iterable[Path]) -> str:
    """What was passed over, pictures among it that lie beside the folders of the classes."""
    loose = sum(
        entry.is_file() and entry.suffix.lower() in SUFFIXES
        for folder in folders
        for entry in folder.iterdir()
    )
    beside = f"{loose:,} in no class's folder" if loose else ""
    return ", ".join(filter(None, (str(skipped), beside)))


def _checked(found: dict[bool, dict[str, list[str]]], folders: dict[bool, Path]) -> tuple[str, ...]:
    """The classes that are learned."""
    classes = tuple(name for name, files in found[False].items() if files)
    if len(classes) < 2:
        raise VggfeatError(
            f"{folders[False]}: {'one folder' if classes else 'no folder'} with pictures in it: "
            "there must be two or more, one for each class"
        )
    if set(classes) <= _PARTS:
        raise VggfeatError(
            f"{folders[False]}: {' and '.join(classes)} are no classes: give one of these folders, "
            "and what is to judge as --val"
        )
    for name, files in found.get(True, {}).items():
        if files and name not in classes:
            raise VggfeatError(f"{folders[True] / name}: {folders[False]} has no such class")
    if True in found and not any(found[True].values()):
        raise VggfeatError(f"{folders[True]}: no pictures in the folders of its classes")
    return classes


def _digest(found: dict[bool, dict[str, list[str]]], folders: dict[bool, Path]) -> str:
    told = [
        [judges, name, os.path.relpath(file, folders[judges]), LocalFile(file).stamp()]
        for judges, files_of in found.items()
        for name, files in files_of.items()
        for file in files
    ]
    return hashlib.sha256(json.dumps(told, ensure_ascii=True).encode()).hexdigest()
