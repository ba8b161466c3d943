"""What stands among VGG16's layers in a PyTorch file and is none of them.

Files of weights name what is learned, not how it is put together. A module that learns something
and stands between the thirteen convolutions, or before them, changes what they give: it is
refused (`head` looks at the fully connected layers).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.weights.formats.torch.batch_norm import Module, numbers_of
from vggfeat.weights.layers import Layer, Name
from vggfeat.weights.names import natural

_STATISTICS = "running_mean"
_LEARNED = ("weight", "gamma", "alpha")
_BIASES = ("bias", "biases", "b")
_MOST_BANDS = 16  # channels of pictures that an adapter may make three of; decoders end with more


def check(chosen: Mapping[str, Layer], modules: Mapping[Name, Module]) -> None:
    """See that no module of a kind that VGG16 lacks works on what its convolutions take or give.

    Args:
        chosen: VGG16's layers.
        modules: all modules of the file by path, in its order.

    Raises:
        WeightsError: one does.
    """
    convolutions = [chosen[name] for name in vgg16.CONVOLUTIONS]
    foreign = _foreign(convolutions, modules)
    for path in _between(convolutions, foreign, modules):
        _refuse(path)
    for path, width in foreign.items():
        if width is None and _is_gate(path, modules, convolutions):
            _refuse(path)
        if width is not None and _is_beside(path, width, convolutions):
            _refuse(path)
    if listed := _in_a_list(foreign, convolutions):
        _refuse(listed)
    _check_before(convolutions[0], foreign, modules)


def check_biases(chosen: Mapping[str, Layer], modules: Mapping[Name, Module]) -> None:
    """See that no layer without a bias has one under a name that is not known.

    Raises:
        WeightsError: one has.
    """
    for name, layer in chosen.items():
        for part, tensor in modules[layer.path].items() if layer.bias is None else ():
            if part not in _LEARNED and tensor.shape == (layer.outputs,):
                raise WeightsError(
                    f"{'.'.join(layer.path)} ({name}) has no bias, but {part} is beside its "
                    "kernel, as wide as it: vggfeat does not know what that is"
                )


def bias_in(module: Module) -> str:
    """What a module calls its bias."""
    return next((part for part in _BIASES if part in module), _BIASES[0])


def _twins(chosen: Iterable[Layer], modules: Mapping[Name, Module]) -> set[Name]:
    """The paths of modules that share their kernels with VGG16's layers."""
    kernels = {id(layer.kernel) for layer in chosen}
    return {path for path, module in modules.items() if id(module.get("weight")) in kernels}


def _foreign(
    convolutions: Sequence[Layer], modules: Mapping[Name, Module]
) -> dict[Name, int | None]:
    """Modules that learn, in the file's order: the width of those that work by channel."""
    twins = _twins(convolutions, modules)
    found: dict[Name, int | None] = {}
    for path, module in modules.items():
        part = next((part for part in _LEARNED if part in module), None)
        if part is None or path in twins or _STATISTICS in module:
            continue
        shape = module[part].shape
        if len(shape) == 1:
            found[path] = shape[0]
        elif part == "weight" and len(shape) in (2, 4):
            found[path] = None
    return found


def _between(
    convolutions: Sequence[Layer],
    foreign: Mapping[Name, int | None],
    modules: Mapping[Name, Module],
) -> Iterator[Name]:
    """Those between the first convolution and the last, below what holds them all.

    In the order of the file where the convolutions have theirs in it, since a module's is that of
    its definition; else in that of their names, and always by the numbers of an `nn.Sequential`.
    """
    mine = [layer.path for layer in convolutions]
    scope = common(mine)
    widths = {None, 1, *(layer.outputs for layer in convolutions)}
    order = list(modules)
    places = [order.index(path) for path in mine]
    if places != sorted(places) or all(path[len(scope)].isdecimal() for path in mine):
        order.sort(key=natural)
    for path in order[order.index(mine[0]) : order.index(mine[-1])]:
        if path in foreign and path[: len(scope)] == scope and foreign[path] in widths:
            yield path


def _is_beside(path: Name, width: int, convolutions: Sequence[Layer]) -> bool:
    """Whether a module by channel belongs to convolutions: `norm1_1`, or one PReLU for all."""
    siblings = [layer for layer in convolutions if layer.path[:-1] == path[:-1]]
    if width == 1 and len(siblings) == len(convolutions):
        return True
    return any(_is_namesake(path, width, layer) for layer in siblings)


def _is_namesake(path: Name, width: int, layer: Layer) -> bool:
    numbers = numbers_of(path)
    return width in (1, layer.outputs) and bool(numbers) and numbers == numbers_of(layer.path)


def _in_a_list(foreign: Mapping[Name, int | None], convolutions: Sequence[Layer]) -> Name | None:
    """The first of modules by channel that are a list beside the list of the convolutions."""
    parents = {layer.path[:-1] for layer in convolutions}
    above = {parent[:-1] for parent in parents} if len(parents) == 1 else set()
    found = [
        path
        for path, width in foreign.items()
        for layer in convolutions
        if width is not None and path[:-2] in above and len(path) == len(layer.path)
        and _is_namesake(path, width, layer)
    ]  # fmt: skip
    return found[0] if len(found) == len(convolutions) else None


def _is_gate(path: Name, modules: Mapping[Name, Module], convolutions: Sequence[Layer]) -> bool:
    """Whether it squeezes and excites a block that has its number: `se1.fc.0` of `block1`."""
    scope = common([layer.path for layer in convolutions])
    module, end = path[: len(scope) + 1], len(scope)
    if path[:end] != scope or len(path) <= end + 1:
        return False
    shapes = [
        m["weight"].shape for p, m in modules.items() if p[: end + 1] == module and "weight" in m
    ]
    blocks = {layer.path[end]: layer.outputs for layer in convolutions[:-3]}
    numbers = numbers_of(module[end:])
    return any(
        numbers == numbers_of((block,)) and (shapes[0][1:2], shapes[-1][:1]) == ((width,), (width,))
        for block, width in blocks.items()
        if numbers and module[end] != block
    )


def _check_before(
    first: Layer, foreign: Mapping[Name, int | None], modules: Mapping[Name, Module]
) -> None:
    """See that no convolution that stands alone before the first gives it its channels."""
    alone = [path for path, width in foreign.items() if width is None]
    order = list(modules)
    for path in alone:
        shape = modules[path]["weight"].shape
        if len(shape) != 4 or shape[0] != first.inputs or shape[1] > _MOST_BANDS:
            continue
        shared = len(common([path, first.path]))
        branch = path[: shared + 1]
        others = [p for p in modules if p[: len(branch)] == branch and p != path]
        before = order.index(path) < order.index(first.path)
        if before and not any("weight" in modules[other] for other in others):
            _refuse(path, "before its convolutions")


def common(paths: Sequence[Name]) -> Name:
    """The modules that hold all of the paths."""
    parents = [path[:-1] for path in paths]
    length = 0
    while all(len(path) > length and path[length] == parents[0][length] for path in parents):
        length += 1
    return parents[0][:length]


def _refuse(path: Name, where: str = "among its convolutions") -> None:
    raise WeightsError(
        f"no VGG16: {'.'.join(path)} is {where}, a layer of a kind that VGG16 does not have there"
    )
