"""The header of a safetensors file of float32 tensors, which follow it one after the other.

The format (github.com/huggingface/safetensors): eight bytes with the length of a JSON text, and
that text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from vggfeat.vgg16 import Shape
from vggfeat.weights.tensors import size

_ALIGNMENT = 64  # of the first number


def header(shapes: Mapping[str, Shape], metadata: Mapping[str, str]) -> bytes:
    """The bytes before the numbers.

    Args:
        shapes: by name, in the order in which the tensors follow.
        metadata: the first entry of the header.
    """
    entries: dict[str, object] = {"__metadata__": metadata}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * size(shape)
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text
