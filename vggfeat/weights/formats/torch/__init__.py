"""PyTorch files: state dicts, checkpoints of trainings, whole models, TorchScript archives.

`torch.save` has had three forms (torch/serialization.py). Since 1.6 it is a zip archive: a pickle
`NAME/data.pkl`, each storage as an entry `NAME/data/KEY` that is stored as it is, and since 2.1
`NAME/byteorder`. TorchScript archives are alike. Before, it was several pickles in a row, then the
storages (`legacy`). Before 0.1.10 it was a tar archive, which is not read.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import WeightsError
from vggfeat.weights.formats import note
from vggfeat.weights.formats.containers import pickles
from vggfeat.weights.formats.containers.archive import Archive, names_in
from vggfeat.weights.formats.containers.pickles.records import Name, named
from vggfeat.weights.formats.torch import legacy, state_dict
from vggfeat.weights.formats.torch.tensors import Tensors
from vggfeat.weights.layers import Network
from vggfeat.weights.tensors import Tensor, map_file

NAME = "PyTorch file"
FILES = "`.pth`, `.pt`, `.bin`, `.ckpt`"
ABOUT = (
    "state dicts of torchvision, timm and others, checkpoints and whole models around them, "
    "with batch normalisation or without; read without running anything"
)

_PICKLE = re.compile(r"^(?:.+/)?data\.pkl$")
_FIRST_OF_TAR = b"sys_info\0"


def recognise(path: Path) -> bool:
    if not path.is_file():
        return False
    return any(map(_PICKLE.match, names_in(path))) or legacy.recognise(path) or _is_tar(path)


def find(path: Path) -> Network:
    """The VGG16 among the tensors of a file. Raises WeightsError."""
    if _is_tar(path):
        raise WeightsError(
            "a file of PyTorch before 0.1.10, from 2017: load it with torch and save it again"
        )
    if legacy.recognise(path):
        return state_dict.network(NAME, legacy.tensors(map_file(path)))
    archive = Archive(path)
    try:
        found = state_dict.network(NAME, _tensors(archive))
    except WeightsError as error:
        if any(name.endswith("/constants.pkl") for name in archive.entries):
            raise WeightsError(f"{error}; of a TorchScript model, save its state_dict()") from error
        raise
    return state_dict.noted(found, note.note_of(archive.comment))


def _tensors(archive: Archive) -> dict[Name, Tensor]:
    pickle = min(filter(_PICKLE.match, archive.entries), key=len)
    folder = pickle.removesuffix("data.pkl")
    big_endian = archive.text(f"{folder}byteorder") == "big"

    def storage(key: str) -> NDArray[np.uint8]:
        return archive.mapped(f"{folder}data/{key}")

    tensors = Tensors(storage, big_endian)
    return named(pickles.load(archive.mapped(pickle)).value, tensors.of)


def _is_tar(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(len(_FIRST_OF_TAR)) == _FIRST_OF_TAR
