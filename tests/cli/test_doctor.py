"""`vggfeat doctor` as a user runs it, on machines with and without a card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import COMMAND, lines, vggfeat
from tests.cli.inside import run
from tests.doctor import broken
from tests.doctor.driver import CUDA_12, machine, needs_bare_machine, needs_compiler
from vggfeat.doctor import machine as module
from vggfeat.doctor import self_test
from vggfeat.engines import cuda_driver

INSTALL = "pip install 'vggfeat[cuda]'"
IMPORTS = [COMMAND[0], "-X", "importtime", *COMMAND[1:]]


def without_tensorflow(folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """A TensorFlow for CUDA 12 that cannot be loaded, which takes no time."""
    about = folder / "tensorflow" / "python" / "platform" / "build_info.py"
    about.parent.mkdir(parents=True)
    about.write_text(
        "build_info = {'is_cuda_build': True, 'cuda_version': '12.5.1', 'cudnn_version': '9'}"
    )
    (folder / "tensorflow" / "__init__.py").write_text("raise ImportError('not this one')")
    here = str(Path(__file__).parent.parent.parent)
    return {**environment, "PYTHONPATH": f"{folder}:{here}"}


def told(done: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@needs_compiler
@needs_bare_machine
def test_a_card_without_cuda_libraries_is_told_with_the_command_that_mends_it(
    tmp_path: Path,
) -> None:
    done = vggfeat("doctor", env=machine(tmp_path))
    said = dict(line.split(None, 1) for line in lines(done.stdout) if line[:1].strip())
    text = done.stdout.decode()
    assert "GPU 0        Fake H100, 70.0 GB free of 80.0 GB, compute capability 9.0\n" in text
    assert "GPU driver   550.54.15, for CUDA up to 12.4\n" in text
    assert said["CUDA"] == f"not found: {', '.join(CUDA_12)}"
    assert "sees no GPU, passes the self-test in float32" in said["tensorflow"]
    assert "auto takes   ncnn, 32 images at once: there is a GPU, but TensorFlow does not" in text
    assert said["warning"].startswith("there is a GPU, but TensorFlow does not find CUDA's")
    assert f"             -> {INSTALL}\n" in text
    assert said["extract"] == "will run, with ncnn on CPU, once the weights are fetched"
    assert len(lines(done.stdout)) < 40
    assert done.stderr == b""


@needs_compiler
@needs_bare_machine
def test_json_tells_the_same_to_programs(tmp_path: Path) -> None:
    environment = without_tensorflow(tmp_path / "site", machine(tmp_path / "driver", cards=2))
    found = told(vggfeat("doctor", "--json", env=environment))
    assert found.keys() == {
        "machine", "driver", "visible_devices", "tensorflow_build", "missing_libraries", "auto",
        "precisions", "self_tests", "weights", "disks", "versions", "findings", "exit_code",
    }  # fmt: skip
    first, second = found["driver"]["cards"]
    assert (first["free"], second["free"]) == (70_000_000_000, None)
    assert found["driver"]["cuda"] == [12, 4]
    assert found["missing_libraries"] == list(CUDA_12)
    assert found["auto"]["engine"] == "ncnn"
    assert found["auto"]["batch_size"] == 32
    assert found["exit_code"] == 0
    problems = [finding["problem"] for finding in found["findings"]]
    assert any("TensorFlow does not find CUDA's libraries" in problem for problem in problems)
    assert any("not this one" in problem for problem in problems)


@needs_compiler
def test_where_auto_takes_a_tensorflow_that_fails_extract_will_not_run(tmp_path: Path) -> None:
    environment = without_tensorflow(tmp_path / "site", machine(tmp_path / "driver", *CUDA_12))
    done = vggfeat("doctor", env=environment, code=1)
    assert "auto takes   tensorflow: there is a GPU\n" in done.stdout.decode()
    assert "tensorflow   version unknown, built for CUDA 12.5, fails" in done.stdout.decode()
    assert "error        tensorflow does not work: " in done.stdout.decode()
    assert "until then: --engine ncnn" in done.stdout.decode()
    assert lines(done.stdout)[-1] == "extract      will not run: see above"


@needs_compiler
@pytest.mark.parametrize(
    ("machine_told", "said"),
    [
        ({"cuda": 11040}, "its driver supports CUDA 11.4"),
        ({"error": 999}, "NVIDIA's driver shows no card: CUDA_ERROR_UNKNOWN"),
    ],
)
def test_a_driver_that_is_too_old_or_fails_is_told(
    tmp_path: Path, machine_told: dict[str, int], said: str
) -> None:
    environment = machine(tmp_path / "driver", *CUDA_12, **machine_told)
    done = vggfeat("doctor", env=without_tensorflow(tmp_path / "site", environment))
    assert said in done.stdout.decode()


@needs_compiler
@needs_bare_machine
def test_extract_says_once_why_it_leaves_the_card_alone_and_never_imports_tensorflow(
    tmp_path: Path, narrow_file: Path, samples: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("extract", samples[0], "-w", narrow_file, "-o")
    monkeypatch.setattr("tests.cli.command.COMMAND", IMPORTS)
    with_card = vggfeat(*arguments, tmp_path / "a.npy", env=machine(tmp_path / "driver"))
    without = vggfeat(
        *arguments, tmp_path / "b.npy", env=machine(tmp_path / "other", *CUDA_12, cards=0)
    )
    for done, notes in ((with_card, 1), (without, 0)):
        told = [line for line in lines(done.stderr) if not line.startswith("import time:")]
        assert sum("there is a GPU, but" in line and INSTALL in line for line in told) == notes
        modules = [line.rpartition("|")[2].strip() for line in lines(done.stderr)]
        assert "vggfeat.engines.ncnn" in modules
        assert not any(name.partition(".")[0] == "tensorflow" for name in modules)


@pytest.fixture
def _ncnn_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    broken.only_ncnn(monkeypatch)


@pytest.mark.usefixtures("_ncnn_alone", "narrow_in_store")
def test_inside_a_container_it_says_how_cards_get_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, kernel = tmp_path / "dockerenv", tmp_path / "version"
    monkeypatch.setattr(module, "_MARKS", {mark: "Docker"})
    monkeypatch.setattr(module, "_KERNELS", (kernel,))
    monkeypatch.setattr(cuda_driver, "_LIBRARY", "libcuda.so.none")
    mark.touch()
    assert b"docker run" not in run("doctor").stdout
    kernel.touch()
    said = run("doctor").stdout.decode()
    assert "in a container (Docker)\n" in said
    assert f"NVIDIA card ({kernel}) that this container was not given\n" in said
    assert "-> docker run --gpus all ..., with the NVIDIA Container Toolkit on the host\n" in said
    assert "extract      will run, with ncnn on CPU\n" in said


@pytest.mark.parametrize(
    ("source", "said"),
    [(broken.CRASHES, "was killed by SIGILL"), (broken.HANGS, "was still running after 1 s")],
)
def test_an_engine_that_crashes_or_hangs_is_told_and_extract_will_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, said: str
) -> None:
    monkeypatch.setattr(cuda_driver, "_LIBRARY", "libcuda.so.none")
    monkeypatch.setattr(self_test, "PATIENCE", 1.0)
    broken.install_ncnn(tmp_path, monkeypatch, source)
    done = run("doctor", code=1).stdout.decode()
    assert f"error        ncnn does not work: its self-test {said}" in done
    assert "pip install --force-reinstall ncnn\n" in done


@pytest.mark.usefixtures("_ncnn_alone")
def test_weights_that_cannot_be_fetched_end_it_with_1_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        "weights      keras, not here yet, fetched once (553 MB)" in run("doctor").stdout.decode()
    )
    assert not (tmp_path / "store").exists()
    (tmp_path / "file").touch()
    monkeypatch.setenv("VGGFEAT_STORE", str(tmp_path / "file" / "store"))
    said = run("doctor", code=1).stdout.decode()
    assert f"error        the store {tmp_path}/file/store cannot be written\n" in said
