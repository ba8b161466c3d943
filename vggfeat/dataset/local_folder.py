"""A dataset folder on a file system here."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from vggfeat.dataset.folder import unreadable
from vggfeat.dataset.shard import Shard
from vggfeat.sinks.part import sync_folder, writing

TEMPORARY = re.compile(r"\..+\.(\d+-of-\d+)\.tmp")  # and whose it is


class LocalFolder:
    """See `Folder`. Temporary files are in it too, `.part-00007.parquet.<hex>.0-of-1.tmp`.

    Args:
        path: the folder.
        shard: whose temporary files those are.
    """

    is_local = True

    def __init__(self, path: Path, shard: Shard) -> None:
        self.path = path
        self.shown = f"{path}{os.sep}"
        self._shard = shard

    def sizes(self, under: str = "") -> dict[str, int]:
        folder = self.path / under
        found: dict[str, int] = {}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):  # it was temporary
                        found[entry.name] = -1 if entry.is_dir() else entry.stat().st_size
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise unreadable(str(folder), error) from error
        return found

    def size(self, name: str) -> int | None:
        try:
            with self._reading(name):
                return (self.path / name).stat().st_size
        except FileNotFoundError:
            return None

    def read(self, name: str) -> bytes:
        with self.hold(name) as file, self._reading(name):
            return file.read()

    def tail(self, name: str, size: int, most: int) -> bytes:
        with self.hold(name) as file, self._reading(name):
            file.seek(max(size - most, 0))
            return file.read(most)

    def hold(self, name: str) -> BinaryIO:  # an open file stays what it is
        with self._reading(name):
            return open(self.path / name, "rb")

    @contextmanager
    def spool(self, name: str) -> Iterator[Path]:
        path = self._temporary(name)
        with writing(path):
            path.parent.mkdir(exist_ok=True)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def writing(self, name: str) -> AbstractContextManager[None]:
        return writing(self.path / name)

    def put(self, spooled: Path, name: str) -> None:
        path = self.path / name
        with writing(path):
            with open(spooled, "rb+") as file:
                os.fsync(file.fileno())
            if path.exists():
                with suppress(PermissionError):  # another user's file
                    shutil.copymode(path, spooled)
            os.replace(spooled, path)
            sync_folder(path.parent)

    def put_bytes(self, name: str, data: bytes) -> None:
        with self.spool(name) as spooled:
            with self.writing(name):
                spooled.write_bytes(data)
            self.put(spooled, name)

    def remove(self, name: str) -> None:
        path = self.path / name
        with writing(path):
            path.unlink(missing_ok=True)
            if path.parent.exists():
                sync_folder(path.parent)

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise unreadable(str(self.path / name), error) from error

    def _temporary(self, name: str) -> Path:
        path = self.path / name
        return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.{self._shard}.tmp")
