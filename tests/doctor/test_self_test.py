"""The self-test of an engine: what it finds, and how a process ends that does not survive it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.doctor import broken
from tests.networks import relative_error
from vggfeat import Extractor
from vggfeat.doctor import network, self_test
from vggfeat.doctor.judgement import fault
from vggfeat.doctor.self_test import Computed, Trial


def test_the_plain_network_is_the_one_that_engines_compute() -> None:
    weights, images = network.weights(), network.pictures(2)
    found = Extractor(weights, "fc7", engine="ncnn")(images)
    assert relative_error(found, network.fc7(weights, images)) < 1e-5
    assert np.mean(found > 0) > 0.2


def test_an_engine_that_works_passes() -> None:
    trial = self_test.run("ncnn", ["float32"])
    assert fault(trial, "float32") is None
    assert trial.ended is None
    assert trial.version
    computed = trial.precisions["float32"]
    assert computed.error is not None
    assert 0 < computed.error < 1e-5
    assert computed.same_bits
    assert list(computed.devices) == ["CPU"]


def test_a_precision_that_cannot_be_computed_does_not_end_it() -> None:
    trial = self_test.run("ncnn", ["bfloat16", "float32"])
    assert (fault(trial, "bfloat16") or "").startswith("cannot compute in bfloat16: ")
    assert "ncnn computes in float32 alone" in (fault(trial, "bfloat16") or "")
    assert fault(trial, "float32") is None
    assert trial.ended is None


def test_a_tensorflow_that_cannot_be_loaded_is_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tensorflow.py").write_text("raise ImportError('not this one')")
    monkeypatch.syspath_prepend(tmp_path)
    assert fault(self_test.run("tensorflow", ["float32"]), "float32") == (
        "does not work: its self-test ended with exit code 1 while loading it (TensorFlow cannot "
        "be loaded (not this one): pip install tensorflow)"
    )


def trial_of(source: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    broken.install_ncnn(folder, monkeypatch, source)
    return self_test.run("ncnn", ["float32"], patience=10)


def test_a_process_that_crashes_is_told_with_what_it_was_doing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = trial_of(broken.CRASHES, tmp_path, monkeypatch)
    assert fault(trial, "float32") == (
        "does not work: its self-test was killed by SIGILL, for want of an instruction that this "
        "processor does not have while computing in float32"
    )


def test_a_process_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken.install_ncnn(tmp_path, monkeypatch, broken.HANGS)
    trial = self_test.run("ncnn", ["float32"], patience=1)
    assert trial.seconds < 5
    assert fault(trial, "float32") == (
        "does not work: its self-test was still running after 1 s while computing in float32"
    )


def test_what_python_says_of_a_package_that_cannot_be_loaded_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = trial_of(broken.CANNOT_BE_LOADED, tmp_path, monkeypatch)
    assert "libgomp.so.1: cannot open shared object file" in (fault(trial, "float32") or "")


@pytest.mark.parametrize("source", [broken.OTHER_NUMBERS, broken.NO_NUMBERS])
def test_other_numbers_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    trial = trial_of(source, tmp_path, monkeypatch)
    assert trial.ended is None
    assert "computes other numbers than the network in float32" in (fault(trial, "float32") or "")


def test_other_bits_of_a_row_alone_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = trial_of(broken.OTHER_BITS_ALONE, tmp_path, monkeypatch)
    assert fault(trial, "float32") is None
    assert trial.precisions["float32"].same_bits is False


def test_what_libraries_print_is_kept_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = broken.OTHER_BITS_ALONE + "\nimport os; os.write(1, b'{no json}\\n'); print('hello')"
    trial = trial_of(source, tmp_path, monkeypatch)
    assert fault(trial, "float32") is None
    assert "{no json}" in trial.log


def test_tf32_has_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where GPUs have computed in float32 it cannot be had in the same one."""
    asked = []

    def run(engine: str, precisions: list[str], patience: float) -> Trial:
        asked.append(precisions)
        died = "was killed by SIGABRT" if precisions == ["tf32"] else None
        computed = {name: Computed(error=0.0, same_bits=True) for name in precisions if not died}
        version = None if died else "2.21.0"
        return Trial(engine, died, None, 2.0, version, precisions=computed)

    monkeypatch.setattr(self_test, "_run", run)
    trial = self_test.run("tensorflow", ["float32", "bfloat16", "tf32"])
    assert asked == [["float32", "bfloat16"], ["tf32"]]
    assert (trial.version, trial.ended, trial.seconds) == ("2.21.0", "was killed by SIGABRT", 4.0)
    assert list(trial.precisions) == ["float32", "bfloat16"]
