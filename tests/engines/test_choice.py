"""Which engine `auto` is, without asking TensorFlow."""

from __future__ import annotations

import ctypes
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import threadpoolctl

from tests import networks
from vggfeat import engines, extract
from vggfeat.activations import Activation
from vggfeat.engines import connected, gpu, ncnn
from vggfeat.watcher import Watcher


class Driver:
    """A CUDA driver that reports some cards."""

    def __init__(self, cards: int, error: int = 0) -> None:
        self.cards, self.error = cards, error

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.error

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self.cards
        return 0


def with_driver(monkeypatch: pytest.MonkeyPatch, driver: Driver | None, *, cudnn: bool) -> None:
    def load(name: str) -> Driver:
        if driver is None:
            raise OSError(f"{name}: cannot open shared object file")
        return driver

    real = importlib.util.find_spec

    def find_spec(name: str) -> Any:
        if name == "nvidia.cudnn":
            if not cudnn:
                raise ModuleNotFoundError(name)
            return SimpleNamespace()
        return real(name)

    monkeypatch.setattr(
        gpu,
        "ctypes",
        SimpleNamespace(
            CDLL=load,
            c_int=ctypes.c_int,
            byref=ctypes.byref,
            util=SimpleNamespace(find_library=lambda name: None),
        ),
    )
    monkeypatch.setattr(gpu.importlib.util, "find_spec", find_spec)


@pytest.mark.parametrize(
    ("driver", "cudnn", "chosen"),
    [
        (None, True, "ncnn"),
        (Driver(0), True, "ncnn"),
        (Driver(1, error=100), True, "ncnn"),
        (Driver(1), False, "ncnn"),
        (Driver(1), True, "tensorflow"),
        (Driver(8), True, "tensorflow"),
    ],
)
def test_a_gpu_that_can_be_used_decides(
    monkeypatch: pytest.MonkeyPatch, driver: Driver | None, cudnn: bool, chosen: str
) -> None:
    with_driver(monkeypatch, driver, cudnn=cudnn)
    assert engines.auto() == chosen


def test_without_ncnn_tensorflow_takes_over_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, samples: list[Path]
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        engines.importlib.util, "find_spec", lambda name: None if name == "ncnn" else real(name)
    )
    notes: list[str] = []

    class Listener(Watcher):
        def note(self, message: str) -> None:
            notes.append(message)

    extract(samples[0], tmp_path / "f.npy", weights=networks.weights(), watcher=Listener())
    assert notes == ["ncnn, the faster engine for CPUs, is not installed: pip install ncnn"]


def test_the_cpu_engine_never_imports_tensorflow(narrow_file: Path, samples: list[Path]) -> None:
    code = f"""
import sys
from vggfeat import Extractor
assert Extractor({str(narrow_file)!r}, engine="ncnn")({str(samples[0])!r}).shape == (1, 256)
assert "tensorflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("found", "busy", "expected"), [(64, False, 2), (1, False, 1), (64, True, 1)]
)
def test_blas_takes_no_more_threads_than_there_are_idle_processors(
    monkeypatch: pytest.MonkeyPatch, found: int, busy: bool, expected: int
) -> None:
    seen = set()

    real = connected._product

    def look(*arrays: Any) -> Any:
        pools = threadpoolctl.threadpool_info()
        seen.update(pool["num_threads"] for pool in pools if pool["user_api"] == "blas")
        return real(*arrays)

    monkeypatch.setattr(ncnn, "cores", lambda: 2)
    monkeypatch.setattr(connected, "_product", look)
    with threadpoolctl.threadpool_limits(found, user_api="blas"):
        engine = ncnn.NcnnEngine(networks.weights(), [Activation("fc7")])
        if busy:
            engine._allocators.append((None, None))
        engine.batch_stage([np.zeros((32, 7, 7, 32), np.float32)])
    assert max(seen) == expected
