"""LevelDB tables and TensorFlow's checkpoints, written byte by byte from their descriptions.

None of vggfeat's readers takes part, and everything can be made to lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests import networks
from tests.weights.formats.protobuf import field, varint
from vggfeat import vgg16

MAGIC = bytes.fromhex("57fb808b247547db")
FLOAT = 1  # DT_FLOAT
Entries = Sequence[tuple[bytes, bytes]]
Arrays = Mapping[str, NDArray[np.float32]]


def _of_byte(crc: int) -> int:
    """Bit by bit, with the polynomial as RFC 3720 gives it: 0x1EDC6F41, bits reversed."""
    for _ in range(8):
        crc = (crc >> 1) ^ (int(f"{0x1EDC6F41:032b}"[::-1], 2) if crc & 1 else 0)
    return crc


_OF_BYTES = [_of_byte(byte) for byte in range(256)]


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _OF_BYTES[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def fixed32(number: int, value: int) -> bytes:
    return varint(number << 3 | 5) + value.to_bytes(4, "little")


def entry(shared: int, rest: bytes, value: bytes, length: int | None = None) -> bytes:
    """An entry of a block; `length` lies about the value's."""
    sizes = (shared, len(rest), len(value) if length is None else length)
    return b"".join(map(varint, sizes)) + rest + value


def block(content: bytes, restarts: Sequence[int] = (0,)) -> bytes:
    tail = b"".join(at.to_bytes(4, "little") for at in (*restarts, len(restarts)))
    return content + tail


def with_trailer(content: bytes, compression: int = 0) -> bytes:
    crc = crc32c(content + bytes([compression]))
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return content + bytes([compression]) + masked.to_bytes(4, "little")


def packed(entries: Entries) -> bytes:
    """A block of entries whose keys share what they can with the one before."""
    content = last = b""
    for key, value in entries:
        shared = next((n for n, (a, b) in enumerate(zip(key, last, strict=False)) if a != b), None)
        shared = min(len(key), len(last)) if shared is None else shared
        content += entry(shared, key[shared:], value)
        last = key
    return block(content)


def footer(metaindex: tuple[int, int], index: tuple[int, int]) -> bytes:
    handles = b"".join(map(varint, (*metaindex, *index)))
    return handles.ljust(40, b"\0") + MAGIC


def of_blocks(blocks: Sequence[bytes], compression: int = 0) -> bytes:
    """A table of data blocks that are written already."""
    data = b""
    handles = []
    for content in blocks:
        handles.append((b"%08d" % len(handles), varint(len(data)) + varint(len(content))))
        data += with_trailer(content, compression)
    metaindex, index = block(b""), packed(handles)
    at = len(data)
    data += with_trailer(metaindex) + with_trailer(index)
    after = at + len(metaindex) + 5
    return data + footer((at, len(metaindex)), (after, len(index)))


def of_entries(entries: Entries, in_a_block: int = 5) -> bytes:
    """A table of entries, sorted, some in each block."""
    entries = sorted(entries)
    starts = range(0, len(entries), in_a_block)
    return of_blocks([packed(entries[at : at + in_a_block]) for at in starts])


def shape(sides: Sequence[int]) -> bytes:
    return b"".join(field(2, field(1, side)) for side in sides)


def bundle_entry(
    sides: Sequence[int], offset: int, size: int, shard: int = 0, dtype: int = FLOAT
) -> bytes:
    """A BundleEntryProto."""
    numbers = field(3, shard) + field(4, offset) + field(5, size)
    return field(1, dtype) + field(2, shape(sides)) + numbers


def bundle_entries(arrays: Arrays) -> tuple[dict[bytes, bytes], bytes]:
    """What an index and a data file hold."""
    kept = {b"": field(1, 1)}
    data = b""
    for name, array in sorted(arrays.items()):
        kept[name.encode()] = bundle_entry(array.shape, len(data), array.nbytes)
        data += array.astype("<f4").tobytes()
    return kept, data


def write_bundle(
    prefix: Path, arrays: Arrays, changed: Mapping[bytes, bytes] | None = None
) -> None:
    """A checkpoint of version 2, with some entries of the index replaced."""
    kept, data = bundle_entries(arrays)
    Path(f"{prefix}.index").write_bytes(of_entries(list((kept | dict(changed or {})).items())))
    Path(f"{prefix}.data-00000-of-00001").write_bytes(data)


def version_1(arrays: Arrays) -> list[tuple[bytes, bytes]]:
    """The entries of a checkpoint of version 1."""
    metas, entries = b"", []
    for number, (name, array) in enumerate(sorted(arrays.items())):
        whole = b"".join(field(1, b"") for _ in array.shape)
        described = field(1, name.encode()) + field(2, shape(array.shape))
        metas += field(1, described + field(3, FLOAT) + field(4, whole))
        numbers = field(5, array.astype("<f4").tobytes())
        saved = field(1, name.encode()) + field(2, whole) + field(3, numbers)
        entries.append((b"%08d" % number, field(2, saved)))
    return [(b"", field(1, metas)), *entries]


def slim_names(made: networks.Layers) -> dict[str, NDArray[np.float32]]:
    """Arrays as `vgg_16/conv1/conv1_1/weights`, the dense ones as convolutions."""
    arrays = {}
    for layer, (kernel, bias) in made.items():
        name = f"vgg_16/{layer[:5]}/{layer}" if layer in vgg16.CONVOLUTIONS else f"vgg_16/{layer}"
        arrays[f"{name}/weights"] = kernel.reshape(vgg16.convolution_shape(layer, kernel.shape))
        arrays[f"{name}/biases"] = bias
    return arrays


# The smallest VGG16 that can be read, for files that are made by the hundred.
TINY_LAYERS = networks.layers(dict.fromkeys(vgg16.WIDTHS, 2))
TINY = slim_names(TINY_LAYERS)
