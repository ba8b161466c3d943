"""What is in a folder and not vggfeat's: never replaced."""

from __future__ import annotations

import os

from vggfeat.dataset import manifest
from vggfeat.dataset.folder import Folder
from vggfeat.dataset.forms import FAILED, form
from vggfeat.dataset.local_folder import LocalFolder
from vggfeat.dataset.part import part_name
from vggfeat.errors import VggfeatError

_OURS = {FAILED, manifest.MANIFEST, manifest.UNFINISHED}


def check_place(folder: Folder) -> None:
    """See that a folder is there, or can be made. Raises VggfeatError."""
    if not isinstance(folder, LocalFolder):
        return
    path = folder.path
    if os.path.lexists(path) and not path.is_dir():
        raise VggfeatError(f"{path}: is there and is not a folder")
    if not path.parent.is_dir():
        raise VggfeatError(f"{folder.shown}: there is no folder {path.parent}")


def check_ours(folder: Folder, form_name: str) -> manifest.Manifest | None:
    """See that a folder is empty, or a dataset of this form; what is told of it.

    Raises:
        VggfeatError: it is another's, or cannot be read.
    """
    visible = [name for name in folder.sizes() if not name.startswith(".")]
    told = manifest.read(folder)
    if told is None:
        for name in visible:
            if name not in _OURS and not _is_our_part(folder, form_name, name):
                raise VggfeatError(
                    f"{folder.shown}: holds {name}, which vggfeat did not write, so nothing is "
                    "written there: choose another -o, or an empty folder"
                )
        return None
    if (there := told.about.get("format")) != form_name:
        raise VggfeatError(
            f"{folder.shown}: is {there} there: add --format {there}, or choose another -o"
        )
    return told


def check_part(folder: Folder, form_name: str, number: int) -> None:
    """See that a part that is not whole is not another program's. Raises VggfeatError."""
    if form(form_name).is_foreign(folder, part_name(number), folder.size):
        raise VggfeatError(
            f"{folder.shown}{part_name(number)}.{form_name}: was not written by vggfeat, so it is "
            "not replaced: move it away or choose another -o"
        )


def _is_our_part(folder: Folder, form_name: str, name: str) -> bool:
    parts = form(form_name)
    number = parts.number(name)
    return number is not None and parts.made(folder, part_name(number), folder.size) is not None
