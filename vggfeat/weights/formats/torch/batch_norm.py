"""Batch normalisation in files that name modules but do not say in which order data meets them.

A normalisation is taken to stand directly behind the layer that is before it, in an order in which
that holds for every convolution. What remains unclear is refused: a network without its
normalisation would give other vectors in silence.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.vgg16 import Shape
from vggfeat.weights.layers import Layer, Name, batch_norm
from vggfeat.weights.names import natural
from vggfeat.weights.tensors import Tensor

Module = dict[str, Tensor]

_EPSILON = 1e-5  # torch.nn.BatchNorm2d's, which state dicts do not keep
_STATISTICS = "running_mean", "running_var"


@dataclass(frozen=True)
class _Placed:
    """Layers and normalisations in one order.

    Attributes:
        behind: the normalisation directly behind each layer.
        astray: the normalisations that are behind none.
    """

    order: Sequence[Name]
    behind: Mapping[Name, Name]
    astray: frozenset[Name]


def folded(
    chosen: Mapping[str, Layer], layers: Sequence[Layer], modules: Mapping[Name, Module]
) -> tuple[dict[str, Layer], tuple[str, ...]]:
    """The chosen layers, with what normalises their outputs, and what of that is in doubt.

    Args:
        layers: all of the file.
        modules: all of the file by path, layers and normalisations among them.

    Raises:
        WeightsError: the convolutions are not all normalised alike.
    """
    convolutions = [chosen[name] for name in vgg16.CONVOLUTIONS]
    _check_nothing_else_between(convolutions, modules)
    norms = {path for path, module in modules.items() if _STATISTICS[0] in module}
    if not norms:
        return dict(chosen), ()
    widths = {path: modules[path][_STATISTICS[0]].shape for path in norms}
    for placed in _placings(chosen, layers, widths, list(modules)):
        if len({layer.path in placed.behind for layer in convolutions}) > 1:
            continue
        if not _unexplained(placed.astray, layers, convolutions):
            kept = _without_another_head(chosen, placed)
            layers_kept = {n: _folded(layer, placed, modules) for n, layer in kept.items()}
            return layers_kept, tuple(_doubts(convolutions[0].path, placed))
    raise WeightsError(
        "it has batch normalisation, but not directly behind each of its convolutions, or in an "
        "order that its names do not tell"
    )


def _doubts(conv1_1: Name, placed: _Placed) -> Iterator[str]:
    """Only numbers of one `nn.Sequential` say that no ReLU stands between."""
    norm = placed.behind.get(conv1_1)
    if norm and not (
        norm[:-1] == conv1_1[:-1] and norm[-1].isdecimal() and conv1_1[-1].isdecimal()
    ):
        yield (
            f"its batch normalisation is taken to stand before the ReLU ({'.'.join(norm)} right "
            f"behind {'.'.join(conv1_1)}), which its names do not tell"
        )


def _placings(
    chosen: Mapping[str, Layer],
    layers: Sequence[Layer],
    widths: Mapping[Name, Shape],
    paths: Sequence[Name],
) -> Iterator[_Placed]:
    """In the order of names; by the numbers in them; in the order of the file."""
    by_path = {layer.path: layer for layer in layers}
    members = [path for path in paths if path in widths or path in by_path]
    by_name = sorted(members, key=natural)
    for order, behind in (
        (by_name, _neighbours(by_name, by_path, widths)),
        (by_name, _namesakes(list(chosen.values()), widths)),
        (members, _neighbours(members, by_path, widths)),
    ):
        yield _Placed(order, behind, frozenset(set(widths) - set(behind.values())))


def _neighbours(
    order: Sequence[Name], layers: Mapping[Name, Layer], widths: Mapping[Name, Shape]
) -> dict[Name, Name]:
    behind: dict[Name, Name] = {}
    for before, path in itertools.pairwise(order):
        layer = layers.get(before)
        if layer is not None and widths.get(path) == (layer.outputs,) and _is_next(before, path):
            behind[before] = path
    return behind


def _namesakes(chosen: Sequence[Layer], widths: Mapping[Name, Shape]) -> dict[Name, Name]:
    """By the same numbers in both names: `conv1_1` and `bn1_1`, `convs.0` and `norms.0`."""
    by_numbers: dict[tuple[tuple[int, ...], Shape], list[Name]] = {}
    for path, width in widths.items():
        by_numbers.setdefault((numbers_of(path), width), []).append(path)
    behind: dict[Name, Name] = {}
    for layer in chosen:
        found = by_numbers.get((numbers_of(layer.path), (layer.outputs,)), [])
        if len(found) == 1 and found[0] not in behind.values():
            behind[layer.path] = found[0]
    return behind


def numbers_of(path: Name) -> tuple[int, ...]:
    """The numbers in a name: `conv1_1` and `bn1_1` have the same."""
    return tuple(int(digits[:9]) for digits in re.findall(r"[0-9]+", ".".join(path)))


def _unexplained(
    astray: Iterable[Name], layers: Sequence[Layer], convolutions: Sequence[Layer]
) -> bool:
    """Whether one is astray that is not among the dense layers of some head."""
    heads = {layer.path[:-1] for layer in layers if not layer.extent}
    heads -= {layer.path[:-1] for layer in convolutions}
    return any(path[:-1] not in heads for path in astray)


def _is_next(before: Name, path: Name) -> bool:
    """Numbers of an `nn.Sequential` that leave one out leave place for a ReLU between."""
    numbered = before[:-1] == path[:-1] and before[-1].isdecimal() and path[-1].isdecimal()
    return not numbered or int(path[-1]) == int(before[-1]) + 1


def _without_another_head(chosen: Mapping[str, Layer], placed: _Placed) -> dict[str, Layer]:
    """fc6 and above as far as no normalisation stands before one or behind its ReLU."""
    kept = {name: chosen[name] for name in vgg16.CONVOLUTIONS}
    for name in vgg16.FULLY_CONNECTED:
        if name not in chosen:
            break
        path = chosen[name].path
        place = placed.order.index(path)
        before, after = placed.order[max(place - 1, 0)], placed.order[place + 1 :][:1]
        if _is_astray(before, path, placed):
            break
        kept[name] = chosen[name]
        if after and _is_astray(after[0], path, placed):
            break
    return kept


def _is_astray(path: Name, beside: Name, placed: _Placed) -> bool:
    return path in placed.astray and path[:-1] == beside[:-1]


def _folded(layer: Layer, placed: _Placed, modules: Mapping[Name, Module]) -> Layer:
    if layer.path not in placed.behind:
        return layer
    module = modules[placed.behind[layer.path]]
    parts = [module.get(part) for part in (*_STATISTICS, "weight", "bias")]
    if parts[1] is None or any(part and part.shape != (layer.outputs,) for part in parts):
        raise WeightsError("damaged: a batch normalisation that lacks numbers")
    gamma = module["weight"].read() if "weight" in module else 1.0
    beta = module["bias"].read() if "bias" in module else 0.0
    mean, variance = (module[part].read() for part in _STATISTICS)
    epsilon = float(module["eps"].read()) if "eps" in module else _EPSILON
    return replace(layer, affine=batch_norm(gamma, beta, mean, variance, epsilon))


def _check_nothing_else_between(
    convolutions: Sequence[Layer], modules: Mapping[Name, Module]
) -> None:
    """No learned activation, other normalisation or convolution in the same `nn.Sequential`."""
    numbered = [
        layer.path for layer in convolutions if layer.path[-1:] and layer.path[-1].isdecimal()
    ]
    ends = {path[:-1]: int(path[-1]) for path in numbered}
    for path, module in modules.items():
        end = ends.get(path[:-1]) if path and path[-1].isdecimal() else None
        if end is None or path in numbered or int(path[-1]) > end:
            continue
        if "weight" in module and _STATISTICS[0] not in module:
            raise WeightsError(
                f"no VGG16: {'.'.join(path)} is among its convolutions, a layer of a kind that "
                "VGG16 does not have there"
            )
