"""vggfeat's own form: one safetensors file, opened as a memory map."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from vggfeat import vgg16
from vggfeat.errors import WeightsError
from vggfeat.weights.canonical import Weights

NAME = "vggfeat safetensors"
_VERSION = "1"


def recognise(path: Path) -> bool:
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        start = file.read(10)
    return len(start) == 10 and start[8:10] in (b'{"', b"{ ")


def read(path: Path) -> Weights:
    """Open by memory map: no copy, and no time that grows with the file.

    Raises:
        WeightsError: not a whole file of this form.
    """
    try:
        with safe_open(path, "numpy") as file:  # checks the header against the file's length
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise WeightsError(f"{path}: damaged or no safetensors file: {error}") from None
    if metadata.get("vggfeat") != _VERSION:
        raise WeightsError(f"{path}: a safetensors file, but not one that vggfeat wrote")
    mapped = np.memmap(path, np.uint8, "r")
    start = 8 + int.from_bytes(mapped[:8].tobytes(), "little")
    header = json.loads(mapped[8:start].tobytes())
    tensors = {}
    for name in _names():
        if name in header:
            begin, end = header[name]["data_offsets"]
            flat = mapped[start + begin : start + end].view("<f4")
            tensors[name] = flat.reshape(header[name]["shape"])
    return Weights(tensors, metadata["source"], metadata["fingerprint"])


def write(weights: Weights, path: Path) -> None:
    """Write the file whole or not at all. Raises OSError."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    metadata = {
        "vggfeat": _VERSION,
        "source": weights.source,
        "fingerprint": weights.fingerprint,
    }
    try:
        save_file(dict(weights.tensors), part, metadata)
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except SafetensorError as error:
        raise OSError(None, str(error), str(path)) from error
    finally:
        part.unlink(missing_ok=True)


def _names() -> list[str]:
    return [f"{name}/{part}" for name in vgg16.LAYERS for part in ("kernel", "bias")] + ["mean"]
