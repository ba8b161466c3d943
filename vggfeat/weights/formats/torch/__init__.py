"""PyTorch files: state dicts, checkpoints of trainings, whole models, TorchScript archives.

`torch.save` has had three forms (torch/serialization.py). Since 1.6 it is a zip archive: a pickle
`NAME/data.pkl`, each storage as an entry `NAME/data/KEY` that is stored as it is, and since 2.1
`NAME/byteorder`. TorchScript archives are alike. Before, it was several pickles in a row, then the
storages (`legacy`). Before 0.1.10 it was a tar archive, which is not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import WeightsError
from vggfeat.weights.formats import containers, note
from vggfeat.weights.formats.containers import pickles
from vggfeat.weights.formats.containers.archive import Archive, names_in
from vggfeat.weights.formats.containers.pickles.walk import named
from vggfeat.weights.formats.torch import kinds, legacy, state_dict
from vggfeat.weights.formats.torch.modules import attributes
from vggfeat.weights.formats.torch.tensors import Tensors
from vggfeat.weights.layers import Name, Network
from vggfeat.weights.tensors import Tensor, map_file

NAME = "PyTorch file"
FILES = "`.pth`, `.pt`, `.bin`, `.ckpt`"
ABOUT = (
    "state dicts of torchvision, timm and others, checkpoints and whole models around them, "
    "with batch normalisation or without; read without running anything"
)

_PICKLE = re.compile(r"^(?:.+/)?data\.pkl$")
_SIDES = 4  # of a convolution's kernel; a frozen TorchScript model hides its own
_FIRST_OF_TAR = b"sys_info\0"


def recognise(path: Path) -> bool:
    return any(map(_PICKLE.match, names_in(path))) or legacy.recognise(path) or _is_tar(path)


def find(path: Path) -> Network:
    """The VGG16 among the tensors of a file. Raises WeightsError."""
    if _is_tar(path):
        raise WeightsError(
            "a file of PyTorch before 0.1.10, from 2017: load it with torch and save it again"
        )
    if legacy.recognise(path):
        return _network(*legacy.tensors(map_file(path)))
    archive = Archive(path)
    tensors, root = _tensors(archive)
    try:
        found = _network(tensors, root)
    except WeightsError as error:
        is_script = any(name.endswith("/constants.pkl") for name in archive.entries)
        if is_script and not any(len(tensor.shape) == _SIDES for tensor in tensors.values()):
            raise WeightsError(f"{error}; of a TorchScript model, save its state_dict()") from error
        raise
    return note.noted(found, note.note_of(archive.comment))


def _network(tensors: Mapping[Name, Tensor], root: Any) -> Network:
    """A pickle keeps the order in which modules were defined, and of a model their classes."""
    return state_dict.network(NAME, tensors, ordered=True, kinds=kinds.of(root))


def _tensors(archive: Archive) -> tuple[dict[Name, Tensor], Any]:
    """All tensors of floats in an archive, by their names, and the record that they are in."""
    pickle = min(filter(_PICKLE.match, archive.entries), key=len)
    folder = pickle.removesuffix("data.pkl")
    big_endian = archive.text(f"{folder}byteorder") == "big"

    def storage(key: str) -> NDArray[np.uint8]:
        return archive.mapped(f"{folder}data/{key}")

    tensors = Tensors(storage, big_endian)
    root = pickles.load(archive.mapped(pickle)).value
    return named(root, tensors.of, attributes), root


def _is_tar(path: Path) -> bool:
    return containers.head(path, len(_FIRST_OF_TAR)) == _FIRST_OF_TAR
