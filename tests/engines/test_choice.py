"""Which engine `auto` is, without asking TensorFlow."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import threadpoolctl

from tests import networks
from vggfeat import engines, extract
from vggfeat.activations import Activation
from vggfeat.doctor import choice
from vggfeat.engines import connected, cuda_driver, cuda_libraries, ncnn
from vggfeat.engines.cuda_driver import Card, Driver
from vggfeat.engines.cuda_libraries import Build
from vggfeat.watcher import Watcher

CARD = Card(0, "H100", 80_000_000_000, None, (9, 0), "GPU-1")
BUILD = Build(Path("/tensorflow"), with_cuda=True, cuda=(12, 5), cudnn=9, oldest=(6, 0))


def with_machine(
    monkeypatch: pytest.MonkeyPatch, cards: list[Card], missing: list[str], ncnn: bool = True
) -> None:
    driver = Driver(found=bool(cards), cards=cards, cuda=(12, 4))
    monkeypatch.setattr(cuda_driver, "ask", lambda: driver)
    monkeypatch.setattr(cuda_libraries, "build", lambda: BUILD)
    monkeypatch.setattr(cuda_libraries, "missing", lambda build: missing)
    monkeypatch.setattr(sys, "platform", "linux")
    names = ["ncnn", "tensorflow"] if ncnn else ["tensorflow"]
    monkeypatch.setattr(engines, "installed", lambda: names)


@pytest.mark.parametrize(
    ("cards", "missing", "ncnn", "chosen", "reason"),
    [
        ([], [], True, "ncnn", "there is no GPU"),
        ([], ["libcudnn.so.9"], False, "tensorflow", "ncnn is not installed"),
        (
            [CARD],
            ["libcudnn.so.9"],
            True,
            "ncnn",
            "there is a GPU, but TensorFlow does not find CUDA's libraries (libcudnn.so.9): "
            "pip install 'vggfeat[cuda]'",
        ),
        ([CARD], [], True, "tensorflow", "there is a GPU"),
        ([CARD] * 8, [], False, "tensorflow", "there is a GPU"),
    ],
)
def test_a_gpu_that_can_be_used_decides_and_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch,
    cards: list[Card],
    missing: list[str],
    ncnn: bool,
    chosen: str,
    reason: str,
) -> None:
    with_machine(monkeypatch, cards, missing, ncnn)
    assert engines.auto() == chosen
    assert choice.auto() == (chosen, reason)


@pytest.mark.parametrize("free", [None, 70_000_000_000, 4_000_000_000])
def test_the_batch_that_is_told_is_for_a_network_of_full_size(free: int | None) -> None:
    cards = [replace(CARD, free=free), replace(CARD, free=1)]
    expected = {None: 128, 70_000_000_000: 128, 4_000_000_000: 8}
    assert choice.batch_on_cards(cards) == expected[free]


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
