"""The programs that `make bench` measures on GPUs, and those that cannot run."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.benchmarks.folder import Folder
from tests.benchmarks.gpu import ceiling, files, network, ways
from tests.benchmarks.gpu.place import PROCESSOR
from tests.benchmarks.peers import matmul_pytorch, variants
from tests.benchmarks.plan import QUICK
from tests.benchmarks.process import FailedError
from tests.benchmarks.reference import reference_file
from tests.benchmarks.results import Table


def test_a_variant_that_fails_leaves_the_others_to_be_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    crops, output = tmp_path / "crops.npy", tmp_path / "out.npy"
    np.save(crops, np.arange(16, dtype=np.uint8).reshape(16, 1))

    def make(variant: str, batch: int) -> variants.Compute:
        def compute(images: NDArray[np.uint8], times: int) -> list[NDArray[np.float32]]:
            if variant == "large":
                raise MemoryError("no room\nfor this")
            return [images.astype(np.float32)] * times

        return compute

    asked = "prepare 20 large\nprepare 20 a, b\nround 20 a, b\ndrop\n"
    arguments = [str(tmp_path), str(crops), str(output), "float32", "cpu", "0"]
    monkeypatch.setattr("sys.argv", ["peer", *arguments])
    monkeypatch.setattr("sys.stdin", io.StringIO(asked))
    variants.main(lambda asked: make)
    ready, large, other, measured, dropped = map(json.loads, capsys.readouterr().out.splitlines())
    assert ready == {}
    assert large == {"failed": "MemoryError: no room"}
    assert other == dropped == {"failed": ""}
    assert measured["images"] % 20 == 0
    assert measured["seconds"] > 0
    assert np.load(output).ravel().tolist() == list(range(16))


def test_a_round_is_as_long_whatever_a_call_takes_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else a peer would have a larger share of it in its rounds than in a long run."""
    now = 0.0

    def compute(images: NDArray[np.uint8], times: int) -> list[NDArray[np.float32]]:
        nonlocal now
        now += 0.04 + 0.01 * times
        return [images.astype(np.float32)] * times

    np.save(tmp_path / "crops.npy", np.zeros((2, 1), np.uint8))
    arguments = [tmp_path, tmp_path / "crops.npy", tmp_path / "out.npy", "float32", "cpu", "1"]
    monkeypatch.setattr("sys.argv", ["peer", *map(str, arguments)])
    monkeypatch.setattr("sys.stdin", io.StringIO("prepare 2 a\nround 2 a\n"))
    monkeypatch.setattr(variants, "time", SimpleNamespace(perf_counter=lambda: now))
    variants.main(lambda asked: lambda variant, batch: compute)
    *_, measured = map(json.loads, capsys.readouterr().out.splitlines())
    assert measured["images"] == pytest.approx(2 * 100, abs=2)


def test_a_peer_that_is_not_installed_does_not_end_the_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise FailedError("no such engine")

    ends = [sys.executable, "-c", "import sys; sys.exit('PyTorch is not installed')"]
    for module in (ceiling, ways, files):
        monkeypatch.setattr(module, "of_peer", lambda script: ends)
    monkeypatch.setattr(files, "run", fail)
    folder = Folder(tmp_path)
    np.save(reference_file(folder.crops), np.zeros((2, 4096)))
    kept: list[Table] = []
    measured = [
        ceiling.measure(QUICK, PROCESSOR),
        network.measure(ways.PEERS[:1], folder, QUICK, PROCESSOR, kept.append),
        files.measure(folder, QUICK, PROCESSOR),
    ]
    reasons = [{row.failed for row in table.rows} for table in measured]
    assert reasons[:2] == [{"PyTorch is not installed"}] * 2
    assert reasons[2] == {"PyTorch is not installed", "no such engine"}


class Held(np.ndarray):  # type: ignore[type-arg]
    """What PyTorch holds of a matrix."""

    def to(self, *where: object) -> Held:
        return self


def test_matrix_products_take_turns_with_tf32_on_and_off(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    torch = SimpleNamespace(
        float32="float32",
        from_numpy=lambda matrix: matrix.view(Held),
        set_float32_matmul_precision=said.append,
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    make = matmul_pytorch.load(False)
    matrix = np.ones((2, 2), np.float32)
    in_turn = [make(name, matrix) for name in ("tf32", "float32")]
    said.clear()
    for chain in in_turn * 2:
        chain(1)
    assert said == ["high", "highest"] * 2
