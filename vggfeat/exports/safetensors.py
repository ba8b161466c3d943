"""torchvision's names and numbers in a safetensors file: `safetensors.torch.load_file(FILE)`.

The format (github.com/huggingface/safetensors): eight bytes with the length of a JSON header,
the header, then the numbers of one tensor after the other.
"""

from __future__ import annotations

import json
from pathlib import Path

from vggfeat.exports import pixels
from vggfeat.exports.channels_first import Turned, turned, with_torch_names
from vggfeat.exports.whole import whole
from vggfeat.weights.canonical import Weights
from vggfeat.weights.formats import note

_ALIGNMENT = 64


def write(weights: Weights, path: Path) -> str:
    """Write the file. Raises OSError."""
    taken = pixels.of_torch(weights)
    tensors = with_torch_names(turned(weights, taken.divisor))
    with whole(path) as file:
        file.write(_header(tensors, {"format": "pt", note.KEY: note.to_text(taken)}))
        for tensor in tensors:
            for block in tensor.blocks():
                file.write(block)
    return f"prepare pixels with {pixels.normalize(taken)}"


def _header(tensors: list[Turned], metadata: dict[str, str]) -> bytes:
    entries: dict[str, object] = {"__metadata__": metadata}
    end = 0
    for tensor in tensors:
        begin, end = end, end + tensor.nbytes
        entries[tensor.name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [begin, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text
