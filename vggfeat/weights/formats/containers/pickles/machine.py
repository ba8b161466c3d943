"""The stack machine that pickles are programs for, with all that it could run taken out."""

from __future__ import annotations

import codecs
import pickle as op
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import WeightsError
from vggfeat.weights.formats.containers.pickles.records import Dict, Object, Persistent, Symbol

Bytes = NDArray[np.uint8]

U1 = struct.Struct("<B")
LONGEST_NUMBER = 1024  # bytes
_LONGEST_LINE = 1 << 16


class Machine:
    """The stack, the memo and the place in the file, and what instructions do to them.

    Its methods raise IndexError, TypeError, ValueError and struct.error where a pickle asks for
    what cannot be.
    """

    def __init__(self, data: Bytes, at: int) -> None:
        self.data, self.view, self.at = data, data.data, at
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under each mark
        self.memo: dict[int, Any] = {}
        self.persistent: list[Persistent] = []

    def instruction(self) -> bytes:
        self.skip(1)
        return self.view[self.at - 1 : self.at].tobytes()

    def number(self, form: struct.Struct) -> Any:
        value = form.unpack_from(self.view, self.at)[0]
        self.at += form.size
        return value

    def skip(self, length: int) -> None:
        if not 0 <= length <= len(self.view) - self.at:
            raise WeightsError("damaged: it holds a pickle that is cut short")
        self.at += length

    def take(self, length: int) -> Bytes:
        """The next bytes, as a view of the file."""
        begin = self.at
        self.skip(length)
        return self.data[begin : self.at]

    def line(self) -> bytes:
        """Up to the next line feed, looked for in growing steps."""
        window = 64
        while window <= _LONGEST_LINE:
            text = self.view[self.at : self.at + window].tobytes()
            end = text.find(b"\n")
            if end >= 0:
                self.at += end + 1
                return text[:end]
            window *= 4
        raise WeightsError("damaged: it holds a pickle with a line that does not end")

    def integer(self) -> int:
        """A line of digits; Python 2 puts an L behind some."""
        line = self.line()
        if len(line) > LONGEST_NUMBER:
            raise ValueError
        return int(line.removesuffix(b"L"))

    def quoted(self) -> str:
        """A string as Python 2 prints it, each character a byte."""
        line = self.line()
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise ValueError
        return str(codecs.escape_decode(line[1:-1])[0], "latin1")

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items = self.stack
        self.stack = self.below.pop()
        return items

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.since_mark()

    def pack(self, count: int) -> None:
        """The topmost values become one tuple."""
        if len(self.stack) < count:
            raise IndexError
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Object):
            target = target.items
        if not isinstance(target, list):
            raise TypeError
        target.extend(items)

    def set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, (Dict, Object)):
            raise TypeError
        target.pairs.extend(zip(items[::2], items[1::2], strict=True))

    def call(self) -> Object:
        args = self.stack.pop()
        return Object(self.stack.pop(), args)

    def call_with_keywords(self) -> Object:
        self.stack.pop()
        return self.call()

    def call_since_mark(self) -> Object:
        maker, *args = self.since_mark()
        return Object(maker, tuple(args))

    def instance(self) -> Object:
        return Object(self.symbol(), tuple(self.since_mark()))

    def build(self) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Object):
            self.stack[-1].state = state

    def symbol(self) -> Symbol:
        return Symbol(self.line().decode(), self.line().decode())

    def stacked_symbol(self) -> Symbol:
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise TypeError
        return Symbol(module, name)

    def persist(self, key: Any) -> None:
        self.persistent.append(Persistent(key))
        self.stack.append(self.persistent[-1])

    def version(self) -> None:
        if self.number(U1) > op.HIGHEST_PROTOCOL:
            raise WeightsError("it holds a pickle of a newer kind than vggfeat knows")
