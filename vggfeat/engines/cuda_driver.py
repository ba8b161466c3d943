"""What NVIDIA's driver says of the cards, asked of it directly: no CUDA toolkit takes part.

Numbers and names of functions are those of the CUDA driver API's header, cuda.h; free memory and
the driver's own version come from NVML, which other programs' use of the cards shows in.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_CAPABILITY = (75, 76)  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE


@dataclass(frozen=True)
class Card:
    """A GPU, or the part of one that MIG makes a device.

    Attributes:
        index: as CUDA and TensorFlow count.
        name: such as `NVIDIA H100 80GB HBM3`.
        total: memory in bytes.
        free: what no program uses of it, in bytes; None where NVML does not tell.
        capability: the compute capability, `(9, 0)` of an H100.
        uuid: `GPU-` or `MIG-` and 36 characters.
    """

    index: int
    name: str
    total: int
    free: int | None
    capability: tuple[int, int]
    uuid: str


@dataclass(frozen=True)
class Driver:
    """The driver's answers.

    Attributes:
        found: whether its library is there at all.
        cards: those that this process may use: `CUDA_VISIBLE_DEVICES` counts.
        cuda: the newest CUDA that it supports, such as `(12, 4)`; None if it does not tell.
        version: its own, such as `550.54.15`; None where NVML does not tell.
        error: why it shows no card, by its name in cuda.h, such as `CUDA_ERROR_UNKNOWN`; None
            where it works, be there cards or none.
    """

    found: bool
    cards: list[Card]
    cuda: tuple[int, int] | None = None
    version: str | None = None
    error: str | None = None


class _CallError(Exception):
    """A function of the driver returned something else than CUDA_SUCCESS."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def ask() -> Driver:
    """Ask the driver. Takes a fraction of a millisecond where there is none."""
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return Driver(found=False, cards=[])
    cards: list[Card] = []
    error = None
    try:
        _call(library.cuInit, 0)
        count = _number(library.cuDeviceGetCount)
        with _nvml() as nvml:
            cards = [_card(library, index, nvml) for index in range(count)]
    except _CallError as failure:
        error = None if failure.code == _NO_DEVICE else _name_of(library, failure.code)
    except AttributeError as lacking:  # a library of that name, but not the driver's
        error = str(lacking)
    with _nvml() as nvml:
        return Driver(True, cards, _cuda(library), _version(nvml), error)


def _card(library: Any, index: int, nvml: Any) -> Card:
    device = ctypes.c_int(_number(library.cuDeviceGet, index))
    name = ctypes.create_string_buffer(256)
    _call(library.cuDeviceGetName, name, len(name), device)
    total = ctypes.c_size_t()
    _call(library.cuDeviceTotalMem_v2, ctypes.byref(total), device)
    major, minor = (_number(library.cuDeviceGetAttribute, what, device) for what in _CAPABILITY)
    found, free = _free(nvml, _uuid(library, device))
    return Card(
        index, name.value.decode("utf-8", "replace"), total.value, free, (major, minor), found
    )


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
