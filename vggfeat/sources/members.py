"""What images within one file have in common."""

from __future__ import annotations

from vggfeat.address import is_address
from vggfeat.outcome import Stamp
from vggfeat.sources.files import LocalFile
from vggfeat.sources.objects import RemoteFile


def stamp_of_archive(address: str) -> Stamp | None:
    """The stamp of an archive at present; None where it has none."""
    return (RemoteFile if is_address(address) else LocalFile)(address).stamp()


def stamp_within(archive: Stamp | None, size: int, number: int) -> Stamp | None:
    """The stamp of a member: its own size, and the archive's time.

    To that its number is added, as nanoseconds: an archive can hold two members of one name, and
    the row of one must never be taken for the other's.
    """
    return archive and Stamp(size, archive.mtime_ns + number)
