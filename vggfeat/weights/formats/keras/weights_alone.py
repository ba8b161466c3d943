"""What weights without a configuration tell: that something learned stands between the layers.

They do not tell where it stands, nor what activations and poolings there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.weights.formats.keras.input import Pixels
from vggfeat.weights.formats.keras.layers import Part
from vggfeat.weights.layers import Layer

_PRELU = "p_re_lu"
_WHOLE = "give the whole model, as model.save writes it"


def check(chosen: Mapping[str, Layer], parts: Sequence[Part]) -> None:
    """Refuse what may stand between the convolutions, or before them.

    Raises:
        WeightsError: a normalisation over as many channels as one of the convolutions, PReLU, or
            a convolution from three channels to three.
    """
    convolutions = [chosen[name] for name in vgg16.CONVOLUTIONS]
    scope = convolutions[0].path[:-1]
    widths = {layer.outputs for layer in convolutions}
    for part in _before_the_head(convolutions, parts):
        within = part.path[:-1] == scope  # else it is before or behind the model that they are in
        if "bias" not in part.weights and part.normalised in ({3, *widths} if within else {3}):
            raise WeightsError(
                f"it normalises batches ({_named(part)}), and weights alone do not tell whether "
                f"between its convolutions, before the ReLU or behind it: {_WHOLE}"
            )
        if within and any(name.startswith(_PRELU) for name in (part.path[-1], *part.place[-1:])):
            raise WeightsError(f"no VGG16: {_named(part)} is a PReLU, expected ReLU")
        layer = part.layer()
        if layer is not None and layer.extent and (layer.inputs, layer.outputs) == (3, 3):
            raise WeightsError(
                f"no VGG16: {_named(part)} gives three channels of three, before conv1_1 it seems"
            )


def pixels(parts: Sequence[Part]) -> Pixels:
    """What is done to pixels: a `Normalization` that was adapted is seen, other layers are not."""
    return Pixels(understood=not any(_normalizes_pixels(part) for part in parts))


def _normalizes_pixels(part: Part) -> bool:
    shapes = sorted(tensor.shape for tensor in part.weights.values())
    return shapes == [(), (3,), (3,)]  # count, mean and variance


def _before_the_head(convolutions: Sequence[Layer], parts: Sequence[Part]) -> list[Part]:
    """The other layers, without those that are surely behind the convolutions.

    Before Keras 3 layers are listed in the order of the network. Keras 3 lists them by class.
    """
    paths = {layer.path for layer in convolutions}
    places = [at for at, part in enumerate(parts) if part.path in paths]
    end = len(parts) if parts[places[0]].place else places[-1]
    return [part for part in parts[:end] if part.path not in paths]


def _named(part: Part) -> str:
    return "/".join(part.path)
