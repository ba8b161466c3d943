"""The sorted tables of LevelDB, in which TensorFlow keeps checkpoints: read from a mapped file.

The format (doc/table_format.md of google/leveldb): the last 48 bytes lead to an index block, whose
values lead to data blocks. A block is a row of entries, then where its restarts are; a key is
written as what it shares with the one before it and the rest. Behind each block come a byte for its
compression and a masked CRC-32C of both. TensorFlow compresses neither of its checkpoints
(`kNoCompression` in tensor_slice_writer.cc and tensor_bundle.cc of tensorflow/core/util).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggfeat.errors import WeightsError
from vggfeat.weights.formats.containers import varint

Bytes = NDArray[np.uint8]

_MAGIC = bytes.fromhex("57fb808b247547db")
_FOOTER = 48
_TRAILER = 5  # the byte for the compression, and the checksum
_CHECKED = 1 << 18  # bytes whose checksums are verified: all of an index, not 500 MB of numbers
_MOST_KEYS = 1 << 24  # bytes that all keys may take; those of a VGG16 take a thousandth
_ENTRY = 1024  # and what an entry takes beside its key, about
_DAMAGED = "damaged: a checkpoint that is cut short or scrambled"
_varint = partial(varint.read, wrong=_DAMAGED)

_POLYNOMIAL = 0x82F63B78  # of CRC-32C, its bits reversed
_MASK = 0xA282EAD8


def is_table(path: Path) -> bool:
    """If a file ends as a table does. False where there is no file."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        file.seek(max(path.stat().st_size - len(_MAGIC), 0))
        return file.read() == _MAGIC


def entries(data: Bytes) -> Iterator[tuple[bytes, Bytes]]:
    """Keys and values of a table in their order; a value is a view of the data.

    Raises:
        WeightsError: no table, or one that is damaged or compressed.
    """
    raw = data.data
    end = len(raw) - _FOOTER
    if end < 0 or bytes(raw[-len(_MAGIC) :]) != _MAGIC:
        raise WeightsError(_DAMAGED)
    at = end
    for _ in range(2):  # the handle of the metaindex, which TensorFlow leaves empty
        _, at = _varint(raw, at)
    index, at = _handle(raw, at)
    blocks = _Blocks(raw[:end])
    past = taken = 0
    for _, begin, size in blocks.entries(*index):
        (offset, length), _ = _handle(raw[: begin + size], begin)
        if offset < past:  # each block once, so that the work is no more than the file is long
            raise WeightsError(_DAMAGED)
        past = offset + length
        for key, value, of_value in blocks.entries(offset, length):
            taken += len(key) + _ENTRY
            if taken > _MOST_KEYS:
                raise WeightsError("damaged, or no checkpoint of a network: too many variables")
            yield key, data[value : value + of_value]


class _Blocks:
    """The blocks of a table, each found by where it begins and how long it is."""

    def __init__(self, raw: memoryview) -> None:
        self._raw = raw
        self._unchecked = _CHECKED

    def entries(self, offset: int, size: int) -> Iterator[tuple[bytes, int, int]]:
        """Each key of a block, where its value begins, and how long that is."""
        raw = self._content(offset, size)
        key = b""
        at = offset
        while at < len(raw):
            shared, at = _varint(raw, at)
            rest, at = _varint(raw, at)
            length, at = _varint(raw, at)
            if shared > len(key) or shared + rest > _MOST_KEYS or at + rest + length > len(raw):
                raise WeightsError(_DAMAGED)
            key = key[:shared] + bytes(raw[at : at + rest])
            yield key, at + rest, length
            at += rest + length

    def _content(self, offset: int, size: int) -> memoryview:
        """The file up to where the entries of a block end."""
        end = offset + size
        if size < 4 or end + _TRAILER > len(self._raw):
            raise WeightsError(_DAMAGED)
        if self._raw[end] != 0:
            raise WeightsError("a compressed table, which TensorFlow never writes: no checkpoint")
        self._unchecked -= size
        if self._unchecked >= 0:
            found = int.from_bytes(self._raw[end + 1 : end + _TRAILER], "little")
            if found != masked_crc(self._raw[offset : end + 1]):
                raise WeightsError("damaged: a checksum of the checkpoint does not fit")
        restarts = int.from_bytes(self._raw[end - 4 : end], "little")
        if 4 * restarts > size - 4:
            raise WeightsError(_DAMAGED)
        return self._raw[: end - 4 - 4 * restarts]


def masked_crc(data: memoryview | bytes) -> int:
    """CRC-32C (RFC 3720, B.4), turned by 15 bits and shifted, as LevelDB keeps it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + _MASK) & 0xFFFFFFFF


def _crc_of_byte(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
    return value


_CRC = tuple(map(_crc_of_byte, range(256)))


def _handle(raw: memoryview, at: int) -> tuple[tuple[int, int], int]:
    """Where a block begins and how long it is, and where the handle ends."""
    offset, at = _varint(raw, at)
    size, at = _varint(raw, at)
    return (offset, size), at
