"""Arrays by the names of layers that no layer of VGG16 has: biases, and what normalises.

NumPy's files say of no array what becomes of it. An array with one number for each channel of a
convolution, and the bias of none, belongs to something that VGG16 does not have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.weights.layers import Layer
from vggfeat.weights.tensors import Tensor

BIASES = ("b", "bias", "biases")


def without_another_head(
    chosen: Mapping[str, Layer], layers: Iterable[Layer], arrays: Mapping[str, Tensor]
) -> dict[str, Layer]:
    """The chosen layers: the convolutions only, where arrays of a fully connected width are left.

    Args:
        layers: all of the file.
        arrays: likewise, by their names.

    Raises:
        WeightsError: arrays are left that are as wide as a convolution.
    """
    used = {id(tensor) for layer in layers for tensor in (layer.kernel, layer.bias)}
    named = [name for name, tensor in arrays.items() if id(tensor) in used]
    left = {
        name: tensor.shape
        for name, tensor in arrays.items()
        # What an optimizer remembers of a layer is below its name.
        if tensor.is_float
        and id(tensor) not in used
        and not any(name.startswith(f"{other}/") for other in named)
    }
    convolutions = {name: chosen[name] for name in vgg16.CONVOLUTIONS}
    widths = {(layer.outputs,) for layer in convolutions.values()}
    for name, shape in left.items():
        if shape in widths:
            raise WeightsError(
                f"no VGG16: {name} holds a number for each channel of a convolution and is none's "
                "bias by its name, so that its part between the convolutions is not known"
            )
    above = {(layer.outputs,) for name, layer in chosen.items() if name not in convolutions}
    return convolutions if above & set(left.values()) else dict(chosen)
