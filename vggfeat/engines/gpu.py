"""Whether TensorFlow would find a GPU: asked of the driver, in milliseconds."""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import sys


def usable() -> bool:
    """An NVIDIA card, and the libraries with which TensorFlow can use it.

    `CUDA_VISIBLE_DEVICES` counts, as the driver itself looks at it.
    """
    return _cards() > 0 and _has_cuda_libraries()


def _cards() -> int:
    """What cuDeviceGetCount of the CUDA driver API says; 0 without a driver."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
            return 0
    except (OSError, AttributeError):
        return 0
    return count.value


def _has_cuda_libraries() -> bool:
    """cuDNN, as `pip install tensorflow[and-cuda]` brings it or as the system has it."""
    try:
        if importlib.util.find_spec("nvidia.cudnn"):
            return True
    except ModuleNotFoundError:
        pass
    return bool(ctypes.util.find_library("cudnn"))
