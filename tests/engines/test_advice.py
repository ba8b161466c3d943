"""`auto` goes on with what has computed the rows that are there, and says where that is slower."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import networks
from vggfeat import extract
from vggfeat.engines import gpu, precision
from vggfeat.engines.ncnn import NcnnEngine
from vggfeat.engines.tensorflow import TensorFlowEngine
from vggfeat.errors import VggfeatError
from vggfeat.watcher import Watcher


class Run:
    """Runs on one output, with more images each time."""

    def __init__(self, output: Path, images: list[Path]) -> None:
        self.output, self.images = output, images
        self.taken = 0

    def __call__(self, **options: Any) -> tuple[str, int, list[str]]:
        """The engine that the rows are of now, how many were computed, and what was said."""
        notes: list[str] = []

        class Listener(Watcher):
            def note(self, message: str) -> None:
                notes.append(message)

        self.taken += 1
        report = extract(
            self.images[: self.taken], self.output,
            weights=networks.weights(), watcher=Listener(), **{"layer": "pool5:avg", **options},
        )  # fmt: skip
        about = json.loads(self.output.with_suffix(".json").read_text())
        return about["engine"], report.computed, notes


@pytest.fixture
def run(tmp_path: Path, samples: list[Path]) -> Run:
    return Run(tmp_path / "feats.npy", samples)


def with_gpu(monkeypatch: pytest.MonkeyPatch, usable: bool, why_not: str | None = None) -> None:
    monkeypatch.setattr(gpu, "usable", lambda: usable)
    monkeypatch.setattr(gpu, "why_not", lambda: why_not)


def test_a_driver_that_fails_one_night_makes_nobody_compute_all_anew(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    with_gpu(monkeypatch, True)
    assert run()[:2] == ("tensorflow", 1)
    with_gpu(monkeypatch, False, "NVIDIA's driver shows no card: CUDA_ERROR_UNKNOWN")
    said = ["NVIDIA's driver shows no card: CUDA_ERROR_UNKNOWN"]
    assert run() == ("tensorflow", 1, said)
    with_gpu(monkeypatch, True)
    assert run()[:2] == ("tensorflow", 1)


def test_without_a_gpu_the_faster_engine_is_named(run: Run) -> None:
    run(engine="tensorflow")
    engine, computed, (said,) = run()
    assert (engine, computed) == ("tensorflow", 1)
    assert said.startswith("computed by tensorflow, as the rows that are there are: --engine ncnn")
    assert run(engine="ncnn") == ("ncnn", 3, ["all is computed anew: engine ncnn, not tensorflow"])


def test_rows_of_processors_stay_when_a_gpu_comes(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    assert run() == ("ncnn", 1, [])
    with_gpu(monkeypatch, True)
    engine, computed, (said,) = run()
    assert (engine, computed) == ("ncnn", 1)
    assert said == (
        "computed by ncnn, as the rows that are there are: --engine tensorflow takes the GPU, and "
        "computes all anew"
    )
    engine, computed, said_now = run(fresh=True)
    assert (engine, computed) == ("tensorflow", 3)
    assert said_now == [
        "TensorFlow sees no GPU, though driver and libraries are there: see `vggfeat doctor`"
    ]


def cut_off(monkeypatch: pytest.MonkeyPatch, run: Run, engine: type[Any], name: str) -> None:
    """A run that ends after two batches of one image, with more to come."""
    real, calls = engine.batch_stage, 0

    def fail(made: Any, batch: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise VggfeatError("the power fails")
        return real(made, batch)

    with monkeypatch.context() as patched:
        patched.setattr(engine, "batch_stage", fail)
        with pytest.raises(VggfeatError, match="the power fails"):
            run(engine=name, batch_size=1)
    assert run.output.with_name("feats.npy.journal").exists()


def test_what_a_run_that_was_cut_off_has_computed_counts_too(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    run.taken = 4
    cut_off(monkeypatch, run, NcnnEngine, "ncnn")
    with_gpu(monkeypatch, True)
    engine, computed, _ = run(batch_size=1)
    assert engine == "ncnn"
    assert 0 < computed < 6


def test_rows_of_another_precision_are_computed_anew_by_the_best(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(precision, "_processor_has_bfloat16", lambda: True)
    assert run(precision="bfloat16") == ("tensorflow", 1, [])
    engine, computed, _ = run()
    assert (engine, computed) == ("ncnn", 2)


def test_where_no_row_can_be_kept_the_best_engine_computes(run: Run) -> None:
    run(engine="tensorflow")
    engine, computed, (said,) = run(layer="pool4:avg")
    assert (engine, computed) == ("ncnn", 2)
    assert said == "all is computed anew: layer pool4:avg, not pool5:avg"


def test_vectors_that_are_gone_bind_nobody(run: Run) -> None:
    run(engine="tensorflow")
    run.output.unlink()
    engine, computed, said = run()
    assert (engine, computed) == ("ncnn", 2)
    assert not any(line.startswith("computed by") for line in said)


def test_an_attempt_with_another_engine_that_was_cut_off_is_given_up(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    """The rows that are published are more."""
    run.taken = 4
    assert run()[:2] == ("ncnn", 5)
    cut_off(monkeypatch, run, TensorFlowEngine, "tensorflow")
    assert run()[:2] == ("ncnn", 2)
