"""A published file, from a mirror or its address: checked, and there whole or not at all.

Over requests rather than pooch, which does not take up a download where it broke off.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from vggfeat.errors import WeightsError, describe_os_error
from vggfeat.weights import caches, transfer
from vggfeat.weights.published import PublishedFile
from vggfeat.weights.transfer import OnProgress, UnavailableError

OnNote = Callable[[str], None]


def download(
    file: PublishedFile,
    target: Path,
    on_progress: OnProgress,
    on_note: OnNote = lambda message: None,
    copies: int = 0,
) -> None:
    """Fetch a published file to `target`: from `$VGGFEAT_MIRROR` first, if that is an address.

    What has come is kept in `target` with `.part` added, and a broken connection, or a later
    call, goes on from there.

    Args:
        on_note: told which address is asked.
        copies: how many files of that size will be made of it, for which there must be room.

    Raises:
        WeightsError: it cannot be had, or what came is something else, or there is no room.
    """
    part = target.with_name(target.name + ".part")
    mirror = caches.mirror_url()
    addresses = [f"{mirror.rstrip('/')}/{file.name}"] if mirror else []
    reasons = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for url in [*addresses, file.url]:
            on_note(f"fetching {url}")
            try:
                _fetch_checked(url, file, part, on_progress, copies)
            except UnavailableError as error:
                reasons.append(f"{url}: {error}")
            else:
                part.replace(target)
                return
    except OSError as error:
        kept = "; what has come is kept, and the same again goes on from there"
        raise WeightsError(
            f"{part}: cannot be written: {describe_os_error(error)}{kept if part.exists() else ''}"
        ) from error
    raise WeightsError(
        f"{file.name} cannot be downloaded: {'; '.join(reasons)}. Run the same again to go on, or "
        "fetch it elsewhere and: vggfeat weights import FILE"
    )


def _fetch_checked(
    url: str, file: PublishedFile, part: Path, on_progress: OnProgress, copies: int
) -> None:
    """Fetch to the part, and once more from the start if what an earlier call left was wrong."""

    def check_room(there: int, total: int) -> None:
        _check_room(part.parent, total - there + copies * total)

    while True:
        begun = part.exists()
        transfer.fetch(url, part, file.size, check_room, on_progress)
        fault = file.fault_of(part)
        if fault is None:
            return
        part.unlink()
        if not begun:
            raise UnavailableError(f"what came {fault}; it was deleted")


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise WeightsError(
            f"{folder}: {needed:,} bytes of disk are needed and {free:,} are free: make room, or "
            "set VGGFEAT_STORE to a folder elsewhere"
        )
