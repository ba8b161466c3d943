"""The program that asks NVIDIA's driver: it writes the answers to its standard output, as JSON.

Its argument is the driver's library. Numbers and names of functions are those of the CUDA driver
API's header, cuda.h; free memory and the driver's own version come from NVML, which other
programs' use of the cards shows in.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import sys
import uuid
from collections.abc import Iterator
from typing import Any

_CAPABILITY = (75, 76)  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE


def main(name: str) -> None:
    answer = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no answer
    with open(answer, "w", encoding="utf-8") as file:
        json.dump(_answers(ctypes.CDLL(name)), file)


def _answers(library: Any) -> dict[str, Any]:
    """The attributes of `Driver`, but `found`, and of `Card`."""
    cards: list[dict[str, Any]] = []
    error = None
    with _nvml() as nvml:
        try:
            _call(library.cuInit, 0)
            count = _number(library.cuDeviceGetCount)
            cards = [_card(library, index, nvml) for index in range(count)]
        except _CallError as failure:
            error = None if failure.code == _NO_DEVICE else _name_of(library, failure.code)
        except AttributeError as lacking:  # a library of that name, but not the driver's
            error = str(lacking)
        version = _version(nvml)
    return {"cards": cards, "cuda": _cuda(library), "version": version, "error": error}


class _CallError(Exception):
    """A function of the driver returned something else than CUDA_SUCCESS."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def _card(library: Any, index: int, nvml: Any) -> dict[str, Any]:
    device = ctypes.c_int(_number(library.cuDeviceGet, index))
    name = ctypes.create_string_buffer(256)
    _call(library.cuDeviceGetName, name, len(name), device)
    total = ctypes.c_size_t()
    _call(library.cuDeviceTotalMem_v2, ctypes.byref(total), device)
    major, minor = (_number(library.cuDeviceGetAttribute, what, device) for what in _CAPABILITY)
    found, free = _free(nvml, _uuid(library, device))
    return {
        "index": index,
        "name": name.value.decode("utf-8", "replace"),
        "total": total.value,
        "free": free,
        "capability": (major, minor),
        "uuid": found,
    }


def _uuid(library: Any, device: ctypes.c_int) -> str:
    """36 characters. Only the newer function tells parts of a card from each other."""
    raw = (ctypes.c_ubyte * 16)()
    function = getattr(library, "cuDeviceGetUuid_v2", None) or library.cuDeviceGetUuid
    _call(function, raw, device)
    return str(uuid.UUID(bytes=bytes(raw)))


def _cuda(library: Any) -> tuple[int, int] | None:
    try:
        version = _number(library.cuDriverGetVersion)
    except (_CallError, AttributeError):
        return None
    return version // 1000, version % 1000 // 10


def _number(function: Any, *args: Any) -> int:
    """What a function writes to its first argument. Raises _CallError."""
    value = ctypes.c_int()
    _call(function, ctypes.byref(value), *args)
    return value.value


def _call(function: Any, *args: Any) -> None:
    """Raises _CallError."""
    if code := function(*args):
        raise _CallError(code)


def _name_of(library: Any, code: int) -> str:
    name = ctypes.c_char_p()
    with contextlib.suppress(AttributeError):
        library.cuGetErrorName(code, ctypes.byref(name))
    return name.value.decode() if name.value else f"error {code}"


@contextlib.contextmanager
def _nvml() -> Iterator[Any]:
    """The module pynvml, ready to be asked; None where NVML is not there."""
    try:
        pynvml = importlib.import_module("pynvml")
        pynvml.nvmlInit()
    except Exception:  # of the library, or of another package by that name
        yield None
        return
    try:
        yield pynvml
    finally:
        with contextlib.suppress(Exception):
            pynvml.nvmlShutdown()


def _free(nvml: Any, identity: str) -> tuple[str, int | None]:
    """NVML's own name of a card, and its free bytes."""
    for name in (f"GPU-{identity}", f"MIG-{identity}"):
        with contextlib.suppress(Exception):
            handle = nvml.nvmlDeviceGetHandleByUUID(name)
            try:
                return name, int(nvml.nvmlDeviceGetMemoryInfo(handle).free)
            except Exception:  # a card that shares the machine's memory has none of its own
                return name, None
    return f"GPU-{identity}", None


def _version(nvml: Any) -> str | None:
    with contextlib.suppress(Exception):
        version = nvml.nvmlSystemGetDriverVersion()
        return version.decode() if isinstance(version, bytes) else str(version)
    return None


if __name__ == "__main__":
    main(sys.argv[1])
