"""What a pickle would build, written down in place of being built.

Dictionaries are kept as pairs, because to look a key up is to hash it, and a pickle may hold keys
that take long to hash, or that crash the interpreter (tuples in tuples in tuples).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import WeightsError
from vggfeat.weights.tensors import Tensor, of_array

Name = tuple[str, ...]

_DEEPEST = 64
_MOST_TENSORS = 1 << 16


@dataclass(frozen=True, slots=True)
class Symbol:
    """The name of a class or function. It is never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False, repr=False, slots=True)
class Dict:
    pairs: list[tuple[Any, Any]] = field(default_factory=list)


@dataclass(eq=False, repr=False, slots=True)
class Object:
    """What a call would give. Nothing is called.

    Attributes:
        maker: a `Symbol`, or whatever else the pickle would call.
        args: a tuple, unless the pickle is damaged.
        state: what the object would be told by `__setstate__`.
        items: what would be appended to it.
        pairs: what would be set in it, as in a dictionary.
    """

    maker: Any
    args: Any
    state: Any = None
    items: list[Any] = field(default_factory=list)
    pairs: list[tuple[Any, Any]] = field(default_factory=list)


@dataclass(eq=False, repr=False, slots=True)
class Persistent:
    """What the pickle leaves to its reader to find, by an id."""

    id: Any


@dataclass(eq=False, repr=False, slots=True)
class LongText:
    """UTF-8 that lies in the mapped file."""

    utf8: NDArray[np.uint8]


def named(root: Any, tensor_of: Callable[[Any], Tensor | None]) -> dict[Name, Tensor]:
    """All tensors below a record, by their names in parts: `("state_dict", "conv1", "weight")`.

    Dictionaries, lists and objects are walked, each once, in their order. A module contributes
    its parameters, buffers and modules under their own names, as its `state_dict()` does, and
    its `eps` (of a batch normalisation) as a tensor without a side.

    Args:
        tensor_of: gives the tensor that a record stands for, None if it stands for none.

    Raises:
        WeightsError: there are too many.
    """
    found: dict[Name, Tensor] = {}
    walked = {id(root)}
    paths: list[tuple[Name, Iterator[tuple[str, Any]]]] = [((), _children(root))]
    while paths:
        path, children = paths[-1]
        key, child = next(children, (None, None))
        if key is None:
            paths.pop()
            continue
        name = (*path, *key.split("."))
        tensor = tensor_of(child)
        if tensor is not None:
            found.setdefault(name, tensor)
        elif isinstance(child, float) and name[-1] == "eps":
            found.setdefault(name, of_array(np.array(child)))
        elif len(name) < _DEEPEST and _is_walked(child) and id(child) not in walked:
            walked.add(id(child))
            paths.append((name, _children(child)))
        if len(found) > _MOST_TENSORS:
            raise WeightsError("it holds more tensors than any network that has a VGG16 in it")
    return found


def _is_walked(value: Any) -> bool:
    return isinstance(value, (list, tuple, Dict, Object))


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (list, tuple)):
        yield from ((str(index), child) for index, child in enumerate(value))
    elif isinstance(value, Dict):
        yield from _keyed(value.pairs)
    elif isinstance(value, Object):
        yield from _keyed(value.pairs)
        yield from _keyed(_of_python_2(value))
        yield from ((str(index), child) for index, child in enumerate(value.items))
        state = _attributes(value.state)
        parts = [part for name in ("_parameters", "_buffers", "_modules") for key, part in state
                 if key == name]  # fmt: skip
        for part in parts:
            yield from _keyed(_attributes(part))
        yield from _keyed([pair for pair in state if not parts or pair[0] == "eps"])


def _keyed(pairs: list[tuple[Any, Any]]) -> Iterator[tuple[str, Any]]:
    yield from ((str(key), child) for key, child in pairs if isinstance(key, (str, int)))


def _attributes(state: Any) -> list[tuple[Any, Any]]:
    return state.pairs if isinstance(state, (Dict, Object)) else []


def _of_python_2(value: Object) -> list[tuple[Any, Any]]:
    """Python 2 gives the items of an `OrderedDict` to its maker: `([[key, value], ...],)`."""
    if value.maker != Symbol("collections", "OrderedDict") or not isinstance(value.args, tuple):
        return []
    items = value.args[0] if value.args else []
    if not isinstance(items, list):
        return []
    return [(item[0], item[1]) for item in items if isinstance(item, list) and len(item) == 2]
