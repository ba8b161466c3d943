"""The folder of an output in a store: its files are read, put and removed whole."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from vggfeat.errors import VggfeatError
from vggfeat.remote import describe, retrying
from vggfeat.trouble import ShortBodyError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

A = TypeVar("A")

# Where stores tell that an object is another one than before, the best first.
_TELLS = (
    "ETag", "etag", "generation", "md5Hash", "content_settings", "blob_id", "LastModified",
    "last_modified", "last_commit", "mtime", "modified", "created",
)  # fmt: skip

_NO_PLACE = re.compile(r"(bucket|container) does not exist", re.IGNORECASE)


class Store:
    """Raises VggfeatError for whatever fails, naming the address of the file.

    Args:
        files: the file system.
        place: the folder, as the file system knows it.
        told: the same, as it may be told.
    """

    def __init__(self, files: AbstractFileSystem, place: str, told: str) -> None:
        self._files = files
        self._place = place
        self._told = told

    def tag(self, name: str) -> str | None:
        """What tells this content of a file from others; None where there is no such file."""
        try:
            with self._saying(name, "read", may_lack=True):
                info = self._retrying(name, lambda: self._files.info(self._path(name)))
        except FileNotFoundError:
            return None
        version = next((str(info[key]) for key in _TELLS if info.get(key)), "")
        return f"{info.get('size')} {version}"

    def read(self, name: str) -> bytes | None:
        """All of a small file; None where there is none, but a place for it."""
        try:
            with self._saying(name, "read", may_lack=True):
                return self._retrying(name, lambda: bytes(self._files.cat_file(self._path(name))))
        except FileNotFoundError as error:
            if lacking := _NO_PLACE.search(str(error)):
                what = lacking[1].lower()
                raise VggfeatError(f"{self._told}/{name}: no such {what}") from error
            return None

    def get(self, name: str, to: Path) -> None:
        def get() -> None:
            self._files.get_file(self._path(name), str(to))
            _check(to.stat().st_size, self._size(name))

        with self._saying(name, "read"):
            self._retrying(name, get)

    def put(self, name: str, source: Path) -> None:
        def put() -> None:
            self._files.put_file(str(source), self._path(name))
            _check(self._size(name), source.stat().st_size)

        with self._saying(name, "written"):
            self._retrying(name, put)

    def write(self, name: str, data: bytes) -> None:
        with self._saying(name, "written"):
            self._retrying(name, lambda: self._files.pipe_file(self._path(name), data))

    def remove(self, name: str) -> None:
        """Do so if it is there."""
        with contextlib.suppress(FileNotFoundError), self._saying(name, "removed", may_lack=True):
            self._retrying(name, lambda: self._files.rm_file(self._path(name)))

    def size(self, name: str) -> int:
        with self._saying(name, "read"):
            return self._retrying(name, lambda: self._size(name))

    def _size(self, name: str) -> int:
        return int(self._files.info(self._path(name))["size"])

    def _path(self, name: str) -> str:
        return f"{self._place}/{name}"

    def _retrying(self, name: str, what: Callable[[], A]) -> A:
        return retrying(what, where=f"{self._told}/{name}")

    @contextlib.contextmanager
    def _saying(self, name: str, done: str, *, may_lack: bool = False) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if may_lack and isinstance(error, FileNotFoundError):
                raise
            raise VggfeatError(
                f"{self._told}/{name}: cannot be {done}: {describe(error)}"
            ) from error


def _check(came: int, told: int) -> None:
    if came != told:
        raise ShortBodyError(came, told)
