"""What is sound of the fully connected layers where other modules stand among them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from vggfeat import vgg16
from vggfeat.weights.formats.torch.batch_norm import Module
from vggfeat.weights.layers import Layer, Name

_STATISTICS = "running_mean"  # of batch normalisation, which is looked at elsewhere


def sound(
    chosen: Mapping[str, Layer], modules: Mapping[Name, Module], others: Collection[Name] = ()
) -> dict[str, Layer]:
    """The layers up to the first that a LayerNorm, PReLU or the like changes, beside them.

    Args:
        modules: all modules of the file by path.
        others: paths of more modules that VGG16 does not have, which learn nothing.
    """
    kept = {name: chosen[name] for name in vgg16.CONVOLUTIONS}
    strange = dict(_by_channel(modules)) | dict.fromkeys(others, 1)
    for name in vgg16.FULLY_CONNECTED:
        layer = chosen.get(name)
        if layer is None or any(_changes(path, strange[path], layer) for path in strange):
            break
        kept[name] = layer
    return kept


def _by_channel(modules: Mapping[Name, Module]) -> Iterator[tuple[Name, int]]:
    for path, module in modules.items():
        weight = module.get("weight")
        if path and weight is not None and len(weight.shape) == 1 and _STATISTICS not in module:
            yield path, weight.shape[0]


def _changes(path: Name, width: int, layer: Layer) -> bool:
    """Whether a module stands before a layer, or between it and its ReLU, or might.

    Numbers of an `nn.Sequential` tell where it stands; other names do not.
    """
    if path[:-1] != layer.path[:-1]:
        return False
    if path[-1].isdecimal() and layer.path[-1].isdecimal():
        return int(path[-1]) <= int(layer.path[-1]) + 1
    return width in (1, layer.outputs)
