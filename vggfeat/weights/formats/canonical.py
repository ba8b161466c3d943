"""vggfeat's own form: one safetensors file, opened as a memory map.

The format (github.com/huggingface/safetensors): eight bytes with the length of a JSON header,
the header, then the numbers of one tensor after the other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from vggfeat import vgg16
from vggfeat.cores import cores
from vggfeat.errors import WeightsError
from vggfeat.weights.canonical import PIECE, Float32, Weights, as_bytes
from vggfeat.weights.formats.containers.safetensors_header import header
from vggfeat.weights.origin import from_dict
from vggfeat.whole import whole

NAME = "vggfeat's own"
FILES = "`.safetensors`, as the store keeps it"
ABOUT = "opened by memory map, without a copy"
_VERSION = "2"
_NO_FINGERPRINT = 64 * "0"


def recognise(path: Path) -> bool:
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(64)[8:].startswith(b'{"__metadata__":{"vggfeat":')


def read(path: Path) -> Weights:
    """Open by memory map: no copy, and no time that grows with the file.

    Raises:
        WeightsError: not a whole file of this form.
        OSError: it cannot be read.
    """
    try:
        with safe_open(path, "numpy") as file:  # checks the header against the file's length
            metadata = file.metadata() or {}
        if metadata.get("vggfeat") != _VERSION:
            raise WeightsError(
                f"{path}: not written by this version of vggfeat: remove it (vggfeat weights "
                "remove) and import the original again"
            )
        tensors = _mapped(path)
        _check(path, tensors)
        origin = from_dict(json.loads(metadata["origin"]))
        return Weights(tensors, origin, metadata["fingerprint"])
    except SafetensorError as error:
        raise WeightsError(f"{path}: damaged or no safetensors file: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: damaged: {error}") from error


def _check(path: Path, tensors: Mapping[str, Float32]) -> None:
    try:
        vgg16.check(
            {
                name: (tensors[f"{name}/kernel"].shape, tensors[f"{name}/bias"].shape)
                for name in vgg16.LAYERS
                if f"{name}/kernel" in tensors
            }
        )
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None


def _mapped(path: Path) -> dict[str, Float32]:
    mapped = np.memmap(path, np.uint8, "r")
    start = 8 + int.from_bytes(mapped[:8].tobytes(), "little")
    entries = json.loads(mapped[8:start].tobytes())
    tensors = {}
    for name in _names():
        if name in entries:
            begin, end = entries[name]["data_offsets"]
            if entries[name]["dtype"] != "F32":
                raise ValueError(f"{name} is no float32")
            flat = mapped[start + begin : start + end].view("<f4")
            tensors[name] = flat.reshape(entries[name]["shape"])
    if tensors["mean"].shape != (3,):
        raise ValueError("its mean is not of three numbers")
    return tensors


def write(weights: Weights, path: Path) -> None:
    """Write the file whole or not at all. Raises OSError."""
    with whole(path) as file, ThreadPoolExecutor(cores() + 1) as pool:
        start = len(_header(weights, _NO_FINGERPRINT))
        pieces = _pieces(weights, start)
        list(pool.map(lambda piece: _write_at(file.fileno(), *piece), pieces))
        # The disk and the processor need not wait for each other.
        flushed = pool.submit(os.fsync, file.fileno())
        finished = _header(weights, weights.fingerprint)
        flushed.result()
        _write_at(file.fileno(), 0, memoryview(finished))


def _header(weights: Weights, fingerprint: str) -> bytes:
    shapes = {name: array.shape for name, array in weights.tensors.items()}
    origin = json.dumps(weights.origin.as_dict())
    return header(shapes, {"vggfeat": _VERSION, "fingerprint": fingerprint, "origin": origin})


def _pieces(weights: Weights, start: int) -> Iterator[tuple[int, memoryview]]:
    """All numbers in pieces, each with where it begins."""
    end = start
    for array in weights.tensors.values():
        data = as_bytes(array)
        for begin in range(0, len(data), PIECE):
            yield end + begin, data[begin : begin + PIECE]
        end += len(data)


def _write_at(file: int, offset: int, data: memoryview) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(file, data[done:], offset + done)


def _names() -> list[str]:
    return [f"{name}/{part}" for name in vgg16.LAYERS for part in ("kernel", "bias")] + ["mean"]
