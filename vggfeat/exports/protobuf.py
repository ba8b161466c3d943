"""Protocol buffers written field by field, without a schema.

The wire format (protobuf.dev/programming-guides/encoding): a message is a row of fields, each a
key (field number and wire type) and a value.
"""

from __future__ import annotations

_VARINT, _LENGTH = 0, 2


def number(field: int, value: int) -> bytes:
    """An integer that is not negative."""
    return _varint(field << 3 | _VARINT) + _varint(value)


def head(field: int, length: int) -> bytes:
    """What stands before a message or bytes of a length."""
    return _varint(field << 3 | _LENGTH) + _varint(length)


def part(field: int, data: bytes) -> bytes:
    """A message or bytes."""
    return head(field, len(data)) + data


def text(field: int, value: str) -> bytes:
    return part(field, value.encode())


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
