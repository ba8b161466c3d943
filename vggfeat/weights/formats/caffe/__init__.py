"""Caffe's `.caffemodel`: a NetParameter, read field by field from the mapped file.

Field numbers are those of src/caffe/proto/caffe.proto. `VGG_ILSVRC_16_layers.caffemodel` keeps its
layers in the old form, `layers` = 2; Caffe has written `layer` = 100 since 2015. In both, kernels
are `[out,in,3,3]`, fc6 is `[4096,25088]` with its columns in C,H,W order, and old blobs have four
sides whatever they hold: `[1,1,4096,25088]`, `[1,1,1,64]`.

Caffe reads images with OpenCV, so networks take BGR, and Oxford's subtract its mean.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from vggfeat.errors import WeightsError
from vggfeat.inputs import BGR, of_scale
from vggfeat.vgg16 import Shape
from vggfeat.weights import structure
from vggfeat.weights.formats.caffe.likeness import sound
from vggfeat.weights.formats.caffe.steps import LEARNING, Step, new_step, old_step
from vggfeat.weights.formats.containers.sniff import outer_fields
from vggfeat.weights.formats.containers.wire import Message
from vggfeat.weights.layers import Layer, Network
from vggfeat.weights.tensors import Tensor, map_file

NAME = "Caffe model"
FILES = "`.caffemodel`"
ABOUT = "old and new layer messages, fine-tuned, with BatchNorm and Scale"

# NetParameter's fields and their wire types; `input_dim` = 4 may be packed.
_KINDS = {1: (2,), 2: (2,), 3: (2,), 4: (0, 2), 5: (0,), 6: (2,), 7: (0,), 8: (2,), 100: (2,)}
_OLD_LAYERS, _LAYERS = 2, 100
_MOST_LAYERS = 20_000

# How messages of layers begin, fields being written by number: V1LayerParameter with bottom = 2,
# top = 3 or name = 4, or with the layer = 1 of a V0LayerParameter; LayerParameter with name = 1.
_VARINT = rb"[\x80-\xff]*[\x00-\x7f]"
_TEXT = rb"[\x01-\x7f][ -~]"
_OLD_BEGINS = re.compile(rb"[\x12\x1a\x22]" + _TEXT + rb"|\x0a" + _VARINT + rb"\x0a" + _TEXT)
_BEGINS = re.compile(rb"\x0a" + _TEXT + rb"+?[\x12\x1a\x22]", re.DOTALL)


def recognise(path: Path) -> bool:
    for field in outer_fields(path):
        if field.kind not in _KINDS.get(field.number, ()):
            return False
        if field.number == _OLD_LAYERS:
            return _OLD_BEGINS.match(field.head) is not None
        if field.number == _LAYERS:
            return _BEGINS.match(field.head) is not None
    return False


def find(path: Path) -> Network:
    """The VGG16 of a model. Raises WeightsError."""
    net = Message(map_file(path))
    parts = net.parts.get(_LAYERS) or net.parts.get(_OLD_LAYERS, [])
    if len(parts) > _MOST_LAYERS:
        raise WeightsError("damaged: it has more layers than any network")
    read = new_step if net.parts.get(_LAYERS) else old_step
    steps = [read(Message(part, net)) for part in parts]
    layers = {id(step): layer for step in steps if (layer := _layer(step)) is not None}
    chosen = structure.choose(list(layers.values()))
    ours = {
        name: next(place for place, step in enumerate(steps) if layers.get(id(step)) is layer)
        for name, layer in chosen.items()
    }
    kept, notes = sound(chosen, ours, steps)
    return Network(NAME, kept, of_scale(BGR, "caffe"), "Caffe's convention", notes)


def _layer(step: Step) -> Layer | None:
    """A convolution or fully connected layer; None of another kind."""
    if step.kind not in LEARNING or not step.blobs:
        return None
    kernel = step.blobs[0]
    bias = _reshaped(step.blobs[1], (-1,)) if len(step.blobs) > 1 else None
    path = tuple(step.name.split("/"))
    if step.kind == "Convolution":
        return Layer(path, kernel, "oihw", bias) if len(kernel.shape) == 4 else None
    if len(kernel.shape) < 2:
        return None
    kernel = _reshaped(kernel, kernel.shape[-2:])
    return Layer(path, kernel, "io" if step.transposed else "oi", bias, flatten="chw")


def _reshaped(tensor: Tensor, shape: Shape) -> Tensor:
    """Without the leading sides of one that old blobs have."""
    count = math.prod(tensor.shape)
    whole = (count,) if shape == (-1,) else shape
    if math.prod(whole) != count:
        raise WeightsError("damaged: a fully connected layer whose blob has too many sides")
    return Tensor(whole, tensor.dtype, lambda: tensor.read().reshape(whole))
