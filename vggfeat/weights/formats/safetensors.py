"""safetensors files of PyTorch's names: timm's, torchvision's, and whatever holds a VGG16.

The format (github.com/huggingface/safetensors, "Format"): eight bytes with the length of a JSON
header, the header, `{name: {"dtype", "shape", "data_offsets": [begin, end]}}` and strings under
`__metadata__`, then the numbers, little-endian, offsets counted from the header's end.
"""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import WeightsError
from vggfeat.vgg16 import Shape
from vggfeat.weights.formats import containers, note
from vggfeat.weights.formats.torch import state_dict
from vggfeat.weights.layers import Name, Network
from vggfeat.weights.tensors import BFLOAT16, Tensor, map_file, mapped

NAME = "safetensors file"
FILES = "`.safetensors`"
ABOUT = "names of timm, torchvision and others, in float16, bfloat16, float32 or float64"

_FLOATS = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": BFLOAT16,
}
_METADATA = "__metadata__"
_LONGEST_HEADER = 1 << 22  # bytes; some 40,000 tensors


def recognise(path: Path) -> bool:
    begin = containers.head(path, 16)
    length = int.from_bytes(begin[:8], "little")
    return 2 <= length <= 100_000_000 and begin[8:].lstrip()[:2] in (b'{"', b"{}")


def find(path: Path) -> Network:
    """The VGG16 among the tensors of a file. Raises WeightsError."""
    data = map_file(path)
    start = 8 + int.from_bytes(data[:8].tobytes(), "little")
    if start > len(data):
        raise WeightsError("damaged: its header is cut short")
    if start > _LONGEST_HEADER:
        raise WeightsError("its header is longer than that of any network with a VGG16 in it")
    header = _parsed(data[8:start].tobytes())
    metadata = header.pop(_METADATA, None)
    found = state_dict.network(NAME, _tensors(header, data[start:]))
    said = metadata.get(note.KEY) if isinstance(metadata, dict) else None
    return note.noted(found, note.note_of(said) if isinstance(said, str) else None)


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        raise WeightsError("damaged: its header is no JSON") from None
    if not isinstance(header, dict):
        raise WeightsError("damaged: its header is no table of tensors")
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise WeightsError("damaged: its header has a name twice")
    return table


def _tensors(header: dict[str, Any], data: NDArray[np.uint8]) -> dict[Name, Tensor]:
    tensors = {}
    places = []
    for name, entry in header.items():
        try:
            kind, shape = entry["dtype"], tuple(entry["shape"])
            begin, end = entry["data_offsets"]
        except (TypeError, KeyError, ValueError):
            raise WeightsError("damaged: its header describes a tensor wrongly") from None
        if not all(map(containers.is_count, (*shape, begin, end))) or not begin <= end <= len(data):
            raise WeightsError("damaged: a tensor reaches beyond the end")
        places.append((begin, end))
        if isinstance(kind, str) and kind in _FLOATS:
            tensors[tuple(name.split("."))] = _tensor(data, begin, end, shape, _FLOATS[kind])
    places.sort()
    if any(end > begin for (_, end), (begin, _) in itertools.pairwise(places)):
        raise WeightsError("damaged: tensors overlap")
    return tensors


def _tensor(
    data: NDArray[np.uint8], begin: int, end: int, shape: Shape, dtype: np.dtype[Any]
) -> Tensor:
    if len(shape) > 8 or math.prod(shape) * dtype.itemsize != end - begin:
        raise WeightsError("damaged: a tensor that has not as many numbers as its shape")
    return mapped(data, begin, shape, dtype)
