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
from vggfeat.inputs import RGB, Input, of_scale
from vggfeat.weights import structure
from vggfeat.weights.formats import note
from vggfeat.weights.formats.containers.pickles.records import Name
from vggfeat.weights.formats.torch.batch_norm import Module, folded
from vggfeat.weights.layers import Layer, Network
from vggfeat.weights.tensors import Tensor

# torchvision's place in `features` of each convolution, alone and with batch normalisation.
_TORCHVISION = (
    (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    (0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40),
)
_AVERAGED = re.compile(r"(^|_)ema($|_)")


def network(form: str, tensors: Mapping[Name, Tensor]) -> Network:
    """The VGG16 among named tensors; where it is there twice, not the moving average.

    It is declared to take what torchvision's VGG16 does where its convolutions have the
    numbers that torchvision gives them.

    Args:
        tensors: in the network's order where it is known.

    Raises:
        WeightsError: no VGG16, several, or batch normalisation that does not fit.
    """
    modules: dict[Name, Module] = {}
    for name, tensor in tensors.items():
        if tensor.is_float:
            modules.setdefault(name[:-1], {})[name[-1]] = tensor
    layers = list(_layers(modules))
    plain = [layer for layer in layers if not any(map(_AVERAGED.search, layer.path))]
    chosen = structure.choose(plain or layers)
    found = Network(form, folded(chosen, layers, modules))
    numbers = tuple(chosen[name].path[-1] for name in vgg16.CONVOLUTIONS)
    if numbers in (tuple(map(str, places)) for places in _TORCHVISION):
        return replace(found, declared=of_scale(RGB, "torch"), declared_by="torchvision's names")
    return found


def noted(found: Network, taken: Input | None) -> Network:
    """The network as a note declares it, where there is one."""
    if taken is None:
        return found
    return replace(found, declared=taken, declared_by=note.DECLARED_BY)


def _layers(modules: Mapping[Name, Module]) -> Iterator[Layer]:
    """Each layer once, though several names may share its numbers."""
    taken: set[int] = set()
    for path, module in modules.items():
        kernel, bias = module.get("weight"), module.get("bias")
        if kernel is None or len(kernel.shape) not in (2, 4) or id(kernel) in taken:
            continue
        taken.add(id(kernel))
        axes = "oihw" if len(kernel.shape) == 4 else "oi"
        yield Layer(path, kernel, axes, bias, flatten="chw")
