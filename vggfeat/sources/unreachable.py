"""Folders that cannot be looked into: their disk is gone, or the right to do so."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import PurePath

from vggfeat.address import is_address
from vggfeat.errors import VggfeatError, describe_os_error


def check_reachable(names: Iterable[str]) -> None:
    """See that images have not merely got out of sight.

    Args:
        names: of images that were there once. Those that were deleted do not matter.

    Raises:
        VggfeatError: a folder above one of them cannot be looked into.
    """
    folders: dict[str, int] = {}
    for name in names:
        if is_address(name):  # what cannot be listed has ended the run before
            continue
        for folder in map(str, PurePath(name).parents):
            folders[folder] = folders.get(folder, 0) + 1
    for folder, images in folders.items():
        if reason := _why_unreachable(folder):
            raise VggfeatError(
                f"{folder}: cannot be looked into: {reason}; the rows of {images:,} images below "
                "it would be lost: run again when it can be, or drop them with --fresh"
            )


def _why_unreachable(folder: str) -> str | None:
    try:
        os.stat(os.path.join(folder, "."))
        with os.scandir(folder):
            return None
    except FileNotFoundError:
        return "what the link leads to is not there" if os.path.islink(folder) else None
    except NotADirectoryError:
        return None
    except OSError as error:
        return describe_os_error(error)
