"""What is on the disk for certain: a record of a run from which a power cut can be played.

A file's bytes are certain after its fsync, a name after that of its folder. Of the changes of
names, what survives is a beginning of them, as with a file system that has a journal, or any of
them, as POSIX allows; of a file's bytes, each sector by itself is the old or the new one, and what
was added may be there, missing, or zeros.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

SECTOR = 512
_LOG = "log"


class Journal:
    """Kept by a run that may be killed at any moment.

    Args:
        place: an empty folder for it, not the watched one.
        folder: the watched one.
    """

    def __init__(self, place: Path, folder: Path) -> None:
        self._place = place
        self._folder = folder
        self._copies = 0
        # As long as nothing is patched: what is kept here is no call of the run.
        self._write: Callable[[int, bytes], int] = os.write
        self._log = os.open(place / _LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for path in sorted(folder.iterdir()):
            self._add(what="there", name=path.name, inode=_inode(path), copy=self._copy(path))
        self._add(what="begun")

    def created(self, name: str) -> None:
        self._add(what="created", name=name, inode=_inode(self._folder / name))

    def about_to_go(self, name: str) -> None:
        """A file loses its name, which a power cut may give back to it."""
        if (path := self._folder / name).is_file():
            self._add(what="gone", inode=_inode(path), copy=self._copy(path))

    def named(self, old: str | None, new: str | None, *, both: bool = False) -> None:
        """Renamed, removed (`new` is None), or linked (`both` names stay)."""
        self._add(what="named", old=old, new=new, both=both)

    def synced(self, name: str, inode: int) -> None:
        if name == ".":
            self._add(what="names synced")
        elif (path := self._folder / name).is_file() and _inode(path) == inode:
            self._add(what="synced", inode=inode, copy=self._copy(path))

    def called(self, number: int, name: str, target: str) -> None:
        self._add(what="call", number=number, function=name, target=target)

    def _copy(self, path: Path) -> str:
        self._copies += 1
        shutil.copyfile(path, self._place / str(self._copies))
        return str(self._copies)

    def _add(self, **entry: Any) -> None:
        self._write(self._log, json.dumps(entry).encode() + b"\n")


@dataclass
class _File:
    synced: bytes = b""
    last: bytes | None = None  # what it held when it lost its name


Names = dict[str, _File]


class _Change(NamedTuple):
    """Of names: `file` appears (`old` is None), takes another name, or loses its own."""

    old: str | None
    new: str | None
    file: _File
    both: bool = False

    def apply(self, names: Names) -> None:
        """As far as it can be: what has not come to the disk cannot be renamed there."""
        if self.old is not None:
            if names.get(self.old) is not self.file:
                return
            if not self.both:
                del names[self.old]
        if self.new is not None:
            names[self.new] = self.file


@dataclass
class _Disk:
    """Names that are on the disk for certain, and the changes of them that are not."""

    certain: Names = field(default_factory=dict)
    changes: list[_Change] = field(default_factory=list)
    inodes: dict[int, _File] = field(default_factory=dict)

    def names(self, changes: Sequence[_Change]) -> Names:
        names = dict(self.certain)
        for change in changes:
            change.apply(names)
        return names

    def sync(self) -> None:
        self.certain = self.names(self.changes)
        self.changes = []

    def some(self, chance: random.Random) -> list[_Change]:
        """Changes that have come to the disk: those up to one of them, or any of them."""
        if chance.random() < 0.5:
            return self.changes[: chance.randint(0, len(self.changes))]
        return [change for change in self.changes if chance.random() < 0.5]


def calls(place: Path) -> list[tuple[str, str]]:
    """Function and file of each call of a run, in order."""
    return [(e["function"], e["target"]) for e in _entries(place) if e["what"] == "call"]


def cut_power(place: Path, folder: Path, chance: random.Random) -> None:
    """Leave in a folder what a power cut at the end of the recorded run might have left."""
    disk = _replayed(place)
    for name, file in disk.names(disk.changes).items():
        file.last = (folder / name).read_bytes()
    names = disk.names(disk.some(chance))
    torn = {id(file): _torn(file, chance) for file in names.values()}
    for path in folder.iterdir():
        path.unlink()
    for name, file in names.items():
        (folder / name).write_bytes(torn[id(file)])


def _replayed(place: Path) -> _Disk:
    disk = _Disk()
    for entry in _entries(place):
        what = entry["what"]
        if what in ("there", "created"):
            file = disk.inodes[entry["inode"]] = _File()
            if what == "there":
                file.synced = (place / entry["copy"]).read_bytes()
            disk.changes.append(_Change(None, entry["name"], file))
        elif what == "named":
            file = disk.names(disk.changes)[entry["old"]]
            disk.changes.append(_Change(entry["old"], entry["new"], file, entry["both"]))
        elif what == "gone":
            disk.inodes[entry["inode"]].last = (place / entry["copy"]).read_bytes()
        elif what == "synced":
            disk.inodes[entry["inode"]].synced = (place / entry["copy"]).read_bytes()
        elif what in ("begun", "names synced"):
            disk.sync()
    return disk


def _entries(place: Path) -> list[Any]:
    return [json.loads(line) for line in (place / _LOG).read_bytes().splitlines()]


def _torn(file: _File, chance: random.Random) -> bytes:
    old, new = file.synced, file.synced if file.last is None else file.last
    way = chance.choice(("old", "new", "torn", "torn"))
    if old == new or way == "old":
        return old
    if way == "new":
        return new
    length = chance.choice((len(old), len(new), chance.randint(*sorted((len(old), len(new))))))
    sectors = []
    for at in range(0, length, SECTOR):
        versions = [data[at : at + SECTOR] for data in (old, new) if at < len(data)]
        if at >= len(old):
            versions.append(b"")
        sectors.append(chance.choice(versions).ljust(SECTOR, b"\0"))
    return b"".join(sectors)[:length]


def _inode(path: Path) -> int:
    return path.lstat().st_ino
