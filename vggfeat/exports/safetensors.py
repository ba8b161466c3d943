"""torchvision's names and numbers in a safetensors file: `safetensors.torch.load_file(FILE)`.

The format (github.com/huggingface/safetensors): eight bytes with the length of a JSON header,
the header, then the numbers of one tensor after the other.
"""

from __future__ import annotations

from pathlib import Path

from vggfeat.exports import pixels
from vggfeat.exports.channels_first import turned, with_torch_names
from vggfeat.weights.canonical import Weights
from vggfeat.weights.formats import note
from vggfeat.weights.formats.containers.safetensors_header import header
from vggfeat.whole import whole


def write(weights: Weights, path: Path) -> str:
    """Write the file. Raises OSError."""
    taken = pixels.of_torch(weights)
    tensors = with_torch_names(turned(weights, taken.divisor))
    with whole(path) as file:
        shapes = {tensor.name: tensor.shape for tensor in tensors}
        file.write(header(shapes, {"format": "pt", note.KEY: note.to_text(taken)}))
        for tensor in tensors:
            for block in tensor.blocks():
                file.write(block)
    return f"prepare pixels with {pixels.normalize(taken)}"
