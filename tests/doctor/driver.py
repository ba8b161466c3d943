"""Machines with a card, made of a driver that is none: shared libraries in a folder of ours."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from vggfeat.engines import gpu

_SOURCE = Path(__file__).with_name("driver.c")
_DRIVER = ("libcuda.so.1", "libnvidia-ml.so.1")
# Of a TensorFlow that is built for CUDA 12 and cuDNN 9.
CUDA_12 = (
    "libcudart.so.12", "libcublas.so.12", "libcublasLt.so.12", "libcufft.so.11",
    "libcusolver.so.11", "libcusparse.so.12", "libcudnn.so.9",
)  # fmt: skip

needs_compiler = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="no C compiler on Linux"
)
needs_bare_machine = pytest.mark.skipif(
    gpu.missing_libraries() != list(CUDA_12), reason="a machine with CUDA, or another TensorFlow"
)


@functools.cache
def _compiled() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="vggfeat-driver-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "driver.so"
    command = ["cc", "-shared", "-fPIC", "-w", "-o", str(path), str(_SOURCE)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def machine(folder: Path, *libraries: str, driver: bool = True, **told: int) -> dict[str, str]:
    """The environment of a machine whose driver is in `folder`.

    Args:
        libraries: others that the loader finds there, which hold nothing of use.
        driver: False for a machine without one.
        told: what the driver says: `cards`, `cuda` (12040 for 12.4), `capability` (90 for 9.0),
            `error` (of cuInit), `crash` (there, by a signal), `nvml_error`, `mig`.
    """
    folder.mkdir(exist_ok=True)
    for name in (*(_DRIVER if driver else ()), *libraries):
        shutil.copy(_compiled(), folder / name)
    says = {f"FAKE_{name.upper()}": str(value) for name, value in told.items()}
    return {**os.environ, "LD_LIBRARY_PATH": str(folder), **says}


def answers(environment: dict[str, str], **expressions: str) -> dict[str, Any]:
    """What expressions over `gpu`, `cuda_driver` and `engines` give on such a machine."""
    code = f"""
import dataclasses, json, sys
from vggfeat import engines
from vggfeat.engines import cuda_driver, cuda_libraries, gpu
print(json.dumps({{name: eval(text) for name, text in {expressions!r}.items()}}))
assert "tensorflow" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
