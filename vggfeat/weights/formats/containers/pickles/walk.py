"""The tensors in what a pickle would build, by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from vggfeat.errors import WeightsError
from vggfeat.weights.formats.containers.pickles.records import Dict, Object, Symbol
from vggfeat.weights.layers import Name
from vggfeat.weights.tensors import Tensor

_DEEPEST = 64
_MOST_TENSORS = 1 << 16

Named = list[tuple[str, Any]]


def attributes_in(state: Any) -> Named:
    """What an object is told by its state, by name; nothing where the state is no dictionary."""
    return _keyed(state.pairs) if isinstance(state, (Dict, Object)) else []


def named(
    root: Any,
    tensor_of: Callable[[Any], Tensor | None],
    attributes: Callable[[Any], Named] = attributes_in,
) -> dict[Name, Tensor]:
    """All tensors below a record, by their names in parts: `("state_dict", "conv1", "weight")`.

    Dictionaries, lists and objects are walked, each once, in their order.

    Args:
        tensor_of: gives the tensor that a record stands for, None if it stands for none.
        attributes: gives what is to be walked of an object's state; a `Tensor` is taken as it is.

    Raises:
        WeightsError: there are too many.
    """
    found: dict[Name, Tensor] = {}
    for name, child in walk(root, attributes):
        tensor = child if isinstance(child, Tensor) else tensor_of(child)
        if tensor is not None:
            found.setdefault(name, tensor)
        if len(found) > _MOST_TENSORS:
            raise WeightsError("it holds more tensors than any network that has a VGG16 in it")
    return found


def walk(
    root: Any, attributes: Callable[[Any], Named] = attributes_in
) -> Iterator[tuple[Name, Any]]:
    """All records below one, by their names; what is there twice is walked once."""
    walked = {id(root)}
    paths: list[tuple[Name, Iterator[tuple[str, Any]]]] = [((), _children(root, attributes))]
    while paths:
        path, children = paths[-1]
        key, child = next(children, (None, None))
        if key is None:
            paths.pop()
            continue
        name = (*path, *key.split("."))
        yield name, child
        if len(name) < _DEEPEST and _is_walked(child) and id(child) not in walked:
            walked.add(id(child))
            paths.append((name, _children(child, attributes)))


def _is_walked(value: Any) -> bool:
    return isinstance(value, (list, tuple, Dict, Object))


def _children(value: Any, attributes: Callable[[Any], Named]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (list, tuple)):
        yield from ((str(index), child) for index, child in enumerate(value))
    elif isinstance(value, Dict):
        yield from _keyed(value.pairs)
    elif isinstance(value, Object):
        yield from _keyed(value.pairs)
        yield from _keyed(_of_python_2(value))
        yield from ((str(index), child) for index, child in enumerate(value.items))
        yield from attributes(value.state)


def _keyed(pairs: list[tuple[Any, Any]]) -> Named:
    return [(str(key), child) for key, child in pairs if isinstance(key, (str, int))]


def _of_python_2(value: Object) -> list[tuple[Any, Any]]:
    """Python 2 gives the items of an `OrderedDict` to its maker: `([[key, value], ...],)`."""
    if value.maker != Symbol("collections", "OrderedDict") or not isinstance(value.args, tuple):
        return []
    items = value.args[0] if value.args else []
    if not isinstance(items, list):
        return []
    return [(item[0], item[1]) for item in items if isinstance(item, list) and len(item) == 2]
