"""Protocol buffers read field by field, straight from a mapped file, without a schema.

The wire format (protobuf.dev/programming-guides/encoding): a message is a row of fields, each a
key (field number and wire type) and a value. What is embedded, messages, strings and packed
numbers, is a stretch of bytes, so nothing is copied until it is asked for, and depth costs
nothing: who wants a message within reads it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import WeightsError
from vggfeat.weights.formats.containers import varint

Bytes = NDArray[np.uint8]

# Wire types; those of fixed width with their bytes.
VARINT, LENGTH = 0, 2
FIXED = {1: 8, 5: 4}
# Of one message, and of all that lie in one another: no network has as many.
_MOST_FIELDS = 1 << 18
_MOST_IN_ALL = 1 << 21
_CUT_SHORT = "damaged: a protocol buffer that is cut short, or none"


class Count:
    """How many fields a message and all within it have, as far as they have been read."""

    fields = 0


class Message:
    """The fields of one message: `numbers` and `parts` by field number, in their order."""

    def __init__(self, data: Bytes, within: Message | None = None) -> None:
        """Raises WeightsError: the data is no message, or `within` has too many fields in all."""
        self._count: Count = Count() if within is None else within._count
        self.numbers: dict[int, list[int]] = defaultdict(list)
        self.parts: dict[int, list[Bytes]] = defaultdict(list)
        self._fixed: dict[int, list[Bytes]] = defaultdict(list)
        at = fields = 0
        raw = data.data  # much faster than an array, number by number
        while at < len(raw):
            key, at = varint.read(raw, at, _CUT_SHORT)
            number, kind = key >> 3, key & 7
            fields += 1
            if number == 0 or fields > _MOST_FIELDS:
                raise WeightsError("damaged: no protocol buffer, or one of too many fields")
            if kind == VARINT:
                value, at = varint.read(raw, at, _CUT_SHORT)
                self.numbers[number].append(value)
                continue
            if kind == LENGTH:
                length, at = varint.read(raw, at, _CUT_SHORT)
            else:
                length = FIXED.get(kind, -1)
            if length < 0 or at + length > len(data):
                raise WeightsError(_CUT_SHORT)
            (self.parts if kind == LENGTH else self._fixed)[number].append(data[at : at + length])
            at += length
        self._count.fields += fields
        if self._count.fields > _MOST_IN_ALL:
            raise WeightsError("damaged: a protocol buffer of too many fields")

    def number(self, field: int, default: int = 0) -> int:
        """The last value of a field of integers."""
        return self.numbers[field][-1] if field in self.numbers else default

    def integers(self, field: int) -> list[int]:
        """All values of a field of signed 64-bit integers, packed or not."""
        found = list(self.numbers.get(field, ()))
        for part in self.parts.get(field, ()):
            at, raw = 0, part.data
            while at < len(raw):
                value, at = varint.read(raw, at, _CUT_SHORT)
                found.append(value)
                if len(found) > _MOST_FIELDS:
                    raise WeightsError("damaged: a list of too many numbers")
        return [value - (1 << 64) if value >> 63 else value for value in found]

    def part(self, field: int) -> Bytes:
        """The last stretch of bytes of a field; empty where there is none."""
        return self.parts[field][-1] if field in self.parts else np.empty(0, np.uint8)

    def text(self, field: int) -> str:
        """The last string of a field; what is no UTF-8 in it is replaced."""
        return self.part(field).tobytes().decode("utf-8", "replace")

    def texts(self, field: int) -> list[str]:
        """All strings of a field."""
        return [part.tobytes().decode("utf-8", "replace") for part in self.parts.get(field, ())]

    def message(self, field: int) -> Message:
        """The last message of a field; an empty one where there is none."""
        return Message(self.part(field), self)

    def messages(self, field: int) -> list[Message]:
        """All messages of a field."""
        return [Message(part, self) for part in self.parts.get(field, ())]

    def packed(self, field: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """All numbers of a field of fixed width: a view of the file where they lie in one piece."""
        pieces = [*self.parts.get(field, ()), *self._fixed.get(field, ())]
        if any(len(piece) % dtype.itemsize for piece in pieces):
            raise WeightsError("damaged: packed numbers that are cut short")
        if len(pieces) == 1:
            only: NDArray[Any] = pieces[0].view(dtype)
            return only
        return np.concatenate([np.empty(0, dtype), *(piece.view(dtype) for piece in pieces)])
