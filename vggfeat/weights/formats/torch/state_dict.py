"""PyTorch's names of tensors -> layers: `X.weight` beside `X.bias`, whatever X is.

Kernels are `[out,in,h,w]` or `[out,in]`, and a dense fc6 reads pool5 in the order C,H,W. Which of
the layers are VGG16's is left to their structure, so prefixes, wrappers and other heads do not
matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.inputs import RGB, of_scale
from vggfeat.weights import names, structure
from vggfeat.weights.formats.torch import foreign, head, pixels
from vggfeat.weights.formats.torch.batch_norm import Module, folded
from vggfeat.weights.formats.torch.kinds import NO_KINDS, Kinds, check_kinds, foreign_in
from vggfeat.weights.layers import Layer, Name, Network
from vggfeat.weights.tensors import Tensor

# The last parts of torchvision's names of the convolutions, without and with batch normalisation.
_TORCHVISION = [
    [names.torchvision(normalised)[layer].rpartition(".")[2] for layer in vgg16.CONVOLUTIONS]
    for normalised in (False, True)
]
_AVERAGED = re.compile(r"(^|_)ema($|_)")
_MOST_MODULES = 1 << 12


def network(
    form: str, tensors: Mapping[Name, Tensor], *, ordered: bool = False, kinds: Kinds = NO_KINDS
) -> Network:
    """The VGG16 among named tensors; where it is there twice, not the moving average.

    It is declared to take what torchvision's VGG16 does where its convolutions have the
    numbers that torchvision gives them.

    Args:
        tensors: in the network's order where it is known.
        ordered: they are in the order of their definition.
        kinds: what the file says that its modules are.

    Raises:
        WeightsError: no VGG16, several, or what VGG16 does not have among its convolutions, or
            batch normalisation that does not fit.
    """
    modules: dict[Name, Module] = {}
    for name, tensor in tensors.items():
        if tensor.is_float:
            modules.setdefault(name[:-1], {})[name[-1]] = tensor
    if len(modules) > _MOST_MODULES:
        raise WeightsError("it has more layers than any network with a VGG16 in it")
    layers = list(_layers(modules))
    plain = [layer for layer in layers if not any(map(_AVERAGED.search, layer.path))]
    chosen = structure.choose(plain or layers, ordered=ordered)
    foreign.check(chosen, modules)
    foreign.check_biases(chosen, modules)
    check_kinds(chosen, kinds)
    kept, notes = folded(head.sound(chosen, modules, foreign_in(kinds)), layers, modules)
    taken = pixels.declared(chosen[vgg16.CONVOLUTIONS[0]].path, tensors)
    found = Network(form, kept, taken, pixels.DECLARED_BY if taken else "", notes)
    if taken is None and [chosen[name].path[-1] for name in vgg16.CONVOLUTIONS] in _TORCHVISION:
        return replace(found, declared=of_scale(RGB, "torch"), declared_by="torchvision's names")
    return found


def _layers(modules: Mapping[Name, Module]) -> Iterator[Layer]:
    """Each layer once, though several names may share its numbers."""
    taken: set[int] = set()
    for path, module in modules.items():
        kernel, bias = module.get("weight"), module.get(foreign.bias_in(module))
        if kernel is None or len(kernel.shape) not in (2, 4) or id(kernel) in taken:
            continue
        taken.add(id(kernel))
        axes = "oihw" if len(kernel.shape) == 4 else "oi"
        yield Layer(path, kernel, axes, bias, flatten="chw")
