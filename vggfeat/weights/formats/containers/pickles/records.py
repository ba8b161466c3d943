"""What a pickle would build, written down in place of being built.

Dictionaries are kept as pairs, because to look a key up is to hash it, and a pickle may hold keys
that take long to hash, or that crash the interpreter (tuples in tuples in tuples).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
