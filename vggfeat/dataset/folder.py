"""The folder that holds a dataset: on a file system here, or at an address."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from vggfeat.dataset.shard import ALL, Shard
from vggfeat.errors import UsageError, VggfeatError, describe_os_error
from vggfeat.remote import filesystem, is_address, shown


class Folder(Protocol):
    """Where the files of a dataset are. Names may have a folder before them: `_failed/a.parquet`.

    Attributes:
        shown: the folder as it may be told, with `/` at its end.
        is_local: whether other processes here can be kept away from it by locks.

    All methods raise VggfeatError, which names the file, but for FileNotFoundError where told.
    """

    shown: str
    is_local: bool

    def sizes(self, under: str = "") -> dict[str, int]:
        """Bytes of all that is in the folder, or in one within; -1 for folders.

        It is empty where there is no such folder.
        """

    def size(self, name: str) -> int | None:
        """Bytes of a file, None where there is none."""

    def read(self, name: str) -> bytes:
        """A small file. Raises FileNotFoundError."""

    def tail(self, name: str, size: int, most: int) -> bytes:
        """The last bytes of a file of that size. Raises FileNotFoundError."""

    def hold(self, name: str) -> BinaryIO:
        """A file as it is now, even when it is replaced. Raises FileNotFoundError."""

    def spool(self, name: str) -> AbstractContextManager[Path]:
        """A local file to write to, which is gone at the end unless it was put."""

    def writing(self, name: str) -> AbstractContextManager[None]:
        """What is done to the spooled file of that name: its errors become VggfeatErrors."""

    def put(self, spooled: Path, name: str) -> None:
        """Let a spooled file appear whole, in the place of an older one."""

    def put_bytes(self, name: str, data: bytes) -> None:
        """Likewise a small file."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""


def place_of(output: str) -> str:
    """Where a folder is: an address, or the path in full of what a link leads to, with `/`.

    Raises:
        UsageError: nothing can be written there.
    """
    if not is_address(output):
        return os.path.join(os.path.realpath(output), "")
    protocol = output.partition("://")[0].lower()
    if protocol in ("http", "https"):
        raise UsageError(f"{shown(output)}: nothing can be written to {protocol} addresses")
    if protocol in ("file", "local"):
        return os.path.join(filesystem(output)[1], "")
    return output


def open_folder(output: str, shard: Shard = ALL) -> Folder:
    """The folder at a path or address that ends in `/`. Nothing is made or looked at.

    Args:
        shard: whose temporary files those are that are made now.
    """
    if is_address(output):
        from vggfeat.dataset.remote_folder import RemoteFolder

        return RemoteFolder(output)
    from vggfeat.dataset.local_folder import LocalFolder

    return LocalFolder(Path(output), shard)


def unreadable(shown: str, error: OSError) -> VggfeatError:
    return VggfeatError(f"{shown}: cannot be read: {describe_os_error(error)}")
