"""A dataset folder at an address of fsspec's."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from vggfeat import remote
from vggfeat.errors import VggfeatError, describe_os_error

A = TypeVar("A")

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class RemoteFolder:
    """See `Folder`. Files appear by one put each, and are made ready in the temporary folder.

    Args:
        address: of the folder, with `/` at its end.

    Raises:
        VggfeatError: the protocol is not known, or its package is not installed.
    """

    is_local = False

    def __init__(self, address: str) -> None:
        self.shown = remote.shown(address)
        self._address = address
        self._root = self._files[1].rstrip("/")

    @property
    def _files(self) -> tuple[Any, str]:
        """The file system of the thread that asks."""
        return remote.filesystem(self._address)

    def sizes(self, under: str = "") -> dict[str, int]:
        folder = self._path(under).rstrip("/")

        def listed() -> dict[str, int]:
            try:
                found = self._files[0].ls(folder, detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return {}
            paths = ((info["name"].rstrip("/"), info) for info in found)
            return {
                path.rpartition("/")[2]: -1 if info["type"] == "directory" else int(info["size"])
                for path, info in paths
                if path != folder  # some stores list an empty object of the folder's own name
            }

        return self._tried(listed, under, "listed")

    def size(self, name: str) -> int | None:
        try:
            path = self._path(name)
            return int(self._tried(lambda: self._files[0].info(path)["size"], name, "read"))
        except FileNotFoundError:
            return None

    def read(self, name: str) -> bytes:
        return self._tried(lambda: bytes(self._files[0].cat_file(self._path(name))), name, "read")

    def tail(self, name: str, size: int, most: int) -> bytes:
        path, begin = self._path(name), max(size - most, 0)

        def read() -> bytes:
            return bytes(self._files[0].cat_file(path, start=begin, end=size))

        return self._tried(read, name, "read")

    def hold(self, name: str) -> BinaryIO:
        file, path = _temporary()

        def fetch() -> None:
            try:
                self._files[0].get_file(self._path(name), str(path))
            except OSError as error:
                if error.errno in _FULL:
                    raise _no_room(error) from error
                raise

        try:
            self._tried(fetch, name, "read")
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    @contextmanager
    def spool(self, name: str) -> Iterator[Path]:
        file, path = _temporary()
        with file:
            yield path

    @contextmanager
    def writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _no_room(error) from error

    def put(self, spooled: Path, name: str) -> None:
        size = os.path.getsize(spooled)

        def put() -> None:
            files = self._files[0]
            files.put_file(str(spooled), self._path(name))
            if (there := files.info(self._path(name))["size"]) != size:
                raise ConnectionError(f"{there:,} of {size:,} bytes have arrived")

        self._tried(put, name, "written")

    def put_bytes(self, name: str, data: bytes) -> None:
        self._tried(lambda: self._files[0].pipe_file(self._path(name), data), name, "written")

    def remove(self, name: str) -> None:
        def removed() -> None:
            try:
                self._files[0].rm_file(self._path(name))
            except FileNotFoundError:
                return

        self._tried(removed, name, "removed")

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _tried(self, what: Callable[[], A], name: str, done: str) -> A:
        try:
            return remote.retrying(what, where=self.shown + name)
        except FileNotFoundError:
            if done == "read":
                raise
            raise VggfeatError(f"{self.shown}{name}: cannot be {done}: not found") from None
        except VggfeatError:
            raise
        except Exception as error:
            raise VggfeatError(
                f"{self.shown}{name}: cannot be {done}: {remote.describe(error)}"
            ) from error


def _temporary() -> tuple[BinaryIO, Path]:
    """A file, and a name that it has while it is open. A kill leaves nothing where it can be."""
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115  # who gets it closes it
        path = Path(f"/proc/self/fd/{file.fileno()}")
        if path.exists():
            return cast("BinaryIO", file), path
        file.close()
        named = tempfile.NamedTemporaryFile(prefix="vggfeat-")  # noqa: SIM115
        return cast("BinaryIO", named), Path(named.name)
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> VggfeatError:
    return VggfeatError(
        f"the temporary folder {tempfile.gettempdir()} cannot be written: "
        f"{describe_os_error(error)}; set TMPDIR to one with room"
    )
