"""Keras files: HDF5 weights and models of every generation, and `.keras` archives.

The published `vgg16_weights_tf_dim_ordering_tf_kernels.h5` (and `..._notop.h5`) names its
layers block1_conv1 ... block5_conv3, fc1, fc2 (fc7 here) and predictions. All take BGR with
the mean 103.939, 116.779, 123.68 ('caffe' mode of keras/src/applications/vgg16.py); rows of
fc1 are in H,W,C order already.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.inputs import BGR, of_scale
from vggfeat.weights import structure
from vggfeat.weights.formats import containers, note
from vggfeat.weights.formats.containers import hdf5
from vggfeat.weights.formats.containers.archive import Archive, names_in
from vggfeat.weights.formats.containers.hdf5.chunks import is_bomb
from vggfeat.weights.formats.keras import chain, weights_alone
from vggfeat.weights.formats.keras.config import LONGEST, Node, nodes_of
from vggfeat.weights.formats.keras.input import NOTE, Pixels, taken_by
from vggfeat.weights.formats.keras.layers import Part, parts_of
from vggfeat.weights.layers import Layer, Network
from vggfeat.weights.mapped import offset
from vggfeat.weights.tensors import map_file

NAME = "Keras file"
FILES = "`.h5`, `.weights.h5`, `.keras`"
ABOUT = "published with or without top, and whatever Keras saves; VGG16 as a base is found"

_MEMBER = "model.weights.h5"
_CONFIG = "config.json"
_UNTOLD = "the configuration of the model does not tell how its layers follow each other"


def recognise(path: Path) -> bool:
    return _is_hdf5(path) or _MEMBER in names_in(path)


def find(path: Path) -> Network:
    """A Keras VGG16, with or without its top.

    What conv1_1 takes is declared by, in this order: the note of vggfeat's export; layers that
    rescale the images within the model; the names of keras.applications.

    Raises:
        WeightsError: no VGG16, several, or one with something between its layers.
    """
    if _is_hdf5(path):
        with open(path, "rb") as file:
            opened = hdf5.opened(file, map_file(path))
        return _network(opened, "".join(opened.attribute("", "model_config")))
    archive = Archive(path)
    return _network(_member(path, archive), _config(archive))


def _is_hdf5(path: Path) -> bool:
    return containers.head(path, len(hdf5.MAGIC)) == hdf5.MAGIC


def _member(path: Path, archive: Archive) -> hdf5.Hdf5:
    """The weights of a `.keras` archive: where they lie, or unpacked into a temporary file."""
    if archive.is_stored(_MEMBER):
        data = archive.mapped(_MEMBER)
        with open(path, "rb") as file:
            return hdf5.opened(file, data, offset(data))
    size = archive.size(_MEMBER)
    if is_bomb(size, archive.entries[_MEMBER].compress_size):
        raise WeightsError(f"damaged: {_MEMBER} in the zip archive would unpack to {size:,} bytes")
    with tempfile.TemporaryFile() as unpacked:
        unpacked.write(archive.inflated(_MEMBER, 0, size).data)
        unpacked.flush()
        return hdf5.opened(unpacked, np.memmap(unpacked, np.uint8, "r"))


def _config(archive: Archive) -> str:
    if _CONFIG not in archive.entries or archive.size(_CONFIG) > LONGEST:
        return ""
    if archive.is_stored(_CONFIG):
        text = archive.mapped(_CONFIG)
    else:
        text = archive.inflated(_CONFIG, 0, LONGEST)
    return text.tobytes().decode("utf-8", "replace")


def _network(file: hdf5.Hdf5, config: str) -> Network:
    nodes = nodes_of(config)
    parts = parts_of(file)
    layers = [layer for part in parts if (layer := part.layer()) is not None]
    _check_not_theano(layers)
    chosen = structure.choose(layers)
    described = _described(parts, nodes)
    by_path = {part.path: part for part in reversed(parts)}
    node_of = {name: described.get(by_path[layer.path]) for name, layer in chosen.items()}
    first = node_of[vgg16.CONVOLUTIONS[0]]
    if first is None or any(node_of[name] is None for name in vgg16.CONVOLUTIONS):
        weights_alone.check(chosen, parts)
        notes = (_UNTOLD,) if nodes else ()
        found, pixels = Network(NAME, chosen, notes=notes), weights_alone.pixels(parts)
    else:
        part_of = {node: part for part, node in described.items()}
        pixels = taken_by(first, part_of)
        found = Network(NAME, chain.checked(chosen, node_of, part_of, nodes))
    noted = note.note_of("".join(file.attribute("", "vggfeat")))
    if noted is not None:
        return replace(found, declared=noted, declared_by=note.DECLARED_BY)
    return _declared(found, pixels)


def _declared(found: Network, pixels: Pixels) -> Network:
    """With what conv1_1 takes, as the model's layers say it, or its names."""
    if not pixels.understood:
        return replace(found, notes=(*found.notes, NOTE))
    if pixels.taken is not None:
        return replace(
            found, declared=pixels.taken, declared_by="the layers that rescale its images"
        )
    if found.layers[vgg16.CONVOLUTIONS[0]].path[-1].startswith("block1"):
        declared = of_scale(BGR, "caffe")
        return replace(found, declared=declared, declared_by="the names of keras.applications")
    return found


def _described(parts: Sequence[Part], nodes: Sequence[Node]) -> dict[Part, Node]:
    """What the configuration says of each part: by its place, else by a name that is no other's."""
    by_place = {node.place: node for node in nodes}
    counts = Counter(node.name for node in nodes)
    by_name = {node.name: node for node in nodes if counts[node.name] == 1}
    found = {}
    for part in parts:
        node = by_place.get(part.place) if part.place else by_name.get(part.path[-1])
        if node is not None:
            found[part] = node
    return found


def _check_not_theano(layers: Sequence[Layer]) -> None:
    """Keras 1 on Theano kept `[out,in,3,3]`, turned by half a turn."""
    shapes = [layer.kernel.shape for layer in layers if len(layer.kernel.shape) == 4]
    if shapes and shapes[0][1:] == (3, 3, 3) and shapes[0][0] != 3:
        raise WeightsError(
            "it was written by Keras 1 on Theano, whose kernels are turned: take the file for "
            "TensorFlow, vgg16_weights_tf_dim_ordering_tf_kernels.h5"
        )
