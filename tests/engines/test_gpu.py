"""What is asked of the driver, of a real library that is loaded as the driver's is."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.doctor.driver import CUDA_12, answers, machine, needs_bare_machine, needs_compiler
from vggfeat.engines import cuda_driver, cuda_libraries, gpu
from vggfeat.engines.cuda_driver import Card, Driver
from vggfeat.engines.cuda_libraries import Build

pytestmark = needs_compiler

CARDS = "[vars(card) for card in gpu.cards()]"
WHY = "gpu.why_not()"
EVERYTHING = {"usable": "gpu.usable()", "why": WHY, "auto": "engines.auto()"}


def test_a_card_is_told_with_its_free_memory(tmp_path: Path) -> None:
    found = answers(
        machine(tmp_path),
        cards=CARDS,
        driver="dataclasses.asdict(cuda_driver.ask())",
    )
    assert found["cards"] == [
        {
            "index": 0,
            "name": "Fake H100",
            "total": 80_000_000_000,
            "free": 70_000_000_000,
            "capability": [9, 0],
            "uuid": "GPU-11111111-1111-1111-1111-111111111111",
        }
    ]
    del found["driver"]["cards"]
    assert found["driver"] == {
        "found": True,
        "cuda": [12, 4],
        "version": "550.54.15",
        "error": None,
    }


def test_a_part_of_a_card_is_known_by_its_own_name(tmp_path: Path) -> None:
    (card,) = answers(machine(tmp_path, mig=1), cards=CARDS)["cards"]
    assert card["uuid"].startswith("MIG-11111111-1111-")
    assert card["free"] == 70_000_000_000


def test_free_memory_that_nvml_does_not_tell_is_unknown(tmp_path: Path) -> None:
    first, second = answers(machine(tmp_path, cards=2), cards=CARDS)["cards"]
    assert (first["free"], second["free"]) == (70_000_000_000, None)
    assert (second["index"], second["name"]) == (1, "Fake H200")

    found = answers(
        machine(tmp_path, nvml_error=9), cards=CARDS, version="cuda_driver.ask().version"
    )
    assert found["cards"][0]["free"] is None
    assert found["version"] is None


@needs_bare_machine
def test_a_card_without_cuda_libraries_is_of_no_use_and_they_are_named(tmp_path: Path) -> None:
    found = answers(machine(tmp_path), **EVERYTHING, missing="gpu.missing_libraries()")
    assert found["missing"] == list(CUDA_12)
    assert found["why"] == (
        "there is a GPU, but TensorFlow does not find CUDA's libraries (libcudart.so.12 and 6 "
        "more): pip install 'vggfeat[cuda]'"
    )
    assert (found["usable"], found["auto"]) == (False, "ncnn")


def test_a_card_with_all_libraries_is_what_auto_takes(tmp_path: Path) -> None:
    found = answers(machine(tmp_path, *CUDA_12), **EVERYTHING)
    assert found == {"usable": True, "why": None, "auto": "tensorflow"}


@needs_bare_machine
def test_one_library_that_is_missing_is_enough(tmp_path: Path) -> None:
    found = answers(machine(tmp_path, *CUDA_12[:-1]), **EVERYTHING)
    assert "does not find CUDA's libraries (libcudnn.so.9): pip install" in found["why"]
    assert not found["usable"]


@pytest.mark.parametrize(
    "told",
    [{"cards": 0}, {"error": 100}, {"driver": False}],
    ids=["no card", "no device", "no driver"],
)
def test_without_a_card_nothing_is_missing_and_auto_takes_the_processors(
    tmp_path: Path, told: dict[str, int]
) -> None:
    found = answers(machine(tmp_path, *CUDA_12, **told), **EVERYTHING, cards=CARDS)
    assert found == {"usable": False, "why": None, "auto": "ncnn", "cards": []}


def test_why_a_driver_shows_no_card_is_told_by_name(tmp_path: Path) -> None:
    def error(code: int) -> str:
        told = answers(machine(tmp_path, error=code), error="cuda_driver.ask().error")
        return str(told["error"])

    assert error(999) == "CUDA_ERROR_UNKNOWN"
    assert error(803) == "error 803"


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ({"error": 999}, "CUDA_ERROR_UNKNOWN"),
        ({"crash": 11}, "it crashed when it was asked (SIGSEGV)"),
    ],
)
def test_a_driver_that_fails_or_crashes_leaves_the_processors_and_is_told(
    tmp_path: Path, told: dict[str, int], error: str
) -> None:
    found = answers(machine(tmp_path, *CUDA_12, **told), **EVERYTHING, cards=CARDS)
    assert (found["usable"], found["auto"], found["cards"]) == (False, "ncnn", [])
    assert found["why"] == (f"NVIDIA's driver shows no card: {error} (nvidia-smi tells more)")


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("import time; time.sleep(60)", "it did not answer in 1 s"),
        ("", "it crashed when it was asked (exit code 0)"),
    ],
)
def test_a_driver_that_does_not_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, error: str
) -> None:
    cuda_driver.forget()
    (tmp_path / "program.py").write_text(program)
    monkeypatch.setattr(cuda_driver, "_PROGRAM", tmp_path / "program.py")
    monkeypatch.setattr(cuda_driver, "_LIBRARY", "libc.so.6")
    monkeypatch.setattr(cuda_driver, "_PATIENCE", 1.0)
    assert cuda_driver.ask().error == error
    cuda_driver.forget()


def test_the_driver_is_asked_once_until_its_answers_are_to_be_forgotten(tmp_path: Path) -> None:
    def times(**expressions: str) -> int:
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        answers({**machine(tmp_path), "FAKE_LOG": str(log)}, **expressions)
        return len(log.read_text().splitlines())

    assert times(**EVERYTHING, cards=CARDS, again=CARDS) == 1
    assert times(**EVERYTHING, forgotten="cuda_driver.forget()", cards=CARDS, again=CARDS) == 2


def test_a_library_of_the_drivers_name_that_is_none_is_no_card(tmp_path: Path) -> None:
    (tmp_path / "libcuda.so.1").write_bytes(b"no library at all")
    found = answers(machine(tmp_path, driver=False), found="dataclasses.asdict(cuda_driver.ask())")
    assert found["found"] == {
        "found": False,
        "cards": [],
        "cuda": None,
        "version": None,
        "error": None,
    }


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (
            {"cuda": 11080},
            "there is a GPU, but its driver supports CUDA 11.8, and TensorFlow takes 12.0 at the "
            "least: install a newer driver from NVIDIA",
        ),
        (
            {"capability": 52},
            "there is a GPU, but it has compute capability 5.2, and this TensorFlow is built for "
            "6.0 at the least: an older TensorFlow may take it, else only a newer card helps",
        ),
    ],
)
def test_what_is_too_old_is_said_where_all_libraries_are_there(
    tmp_path: Path, told: dict[str, int], why: str
) -> None:
    found = answers(machine(tmp_path, *CUDA_12, **told), **EVERYTHING)
    assert found == {"usable": False, "why": why, "auto": "ncnn"}


H100 = Card(0, "H100", 80, 70, (9, 0), "GPU-1")
DRIVER = Driver(found=True, cards=[H100], cuda=(12, 4))


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (None, "TensorFlow is not installed"),
        (Build(Path(), with_cuda=False), "the TensorFlow that is installed is built without CUDA"),
    ],
)
def test_a_tensorflow_that_knows_no_gpu_is_told(build: Build | None, why: str) -> None:
    found = gpu.hindrance(DRIVER, build, [])
    assert found is not None
    assert found.why == why
    assert found.remedy.endswith("pip install 'vggfeat[cuda]'")


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_off_linux_tensorflow_has_no_use_for_a_card(
    monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    build = Build(Path(), with_cuda=True, cuda=(12, 5), cudnn=9)
    assert gpu.hindrance(DRIVER, build, []) is None
    monkeypatch.setattr(sys, "platform", system)
    found = gpu.hindrance(DRIVER, build, [])
    assert found is not None
    assert "on Linux only" in found.why


class Installed:
    """A TensorFlow of which only the folder is there, among other packages."""

    def __init__(self, site: Path) -> None:
        self.site = site
        self.folder = site / "tensorflow"
        self.about = self.folder / "python" / "platform" / "build_info.py"
        self.about.parent.mkdir(parents=True)
        (self.folder / "__init__.py").write_text("raise AssertionError('imported')")

    def tells(self, **told: object) -> None:
        self.about.write_text(f"build_info = {told!r}")

    def beside(self, *names: str) -> None:
        for name in names:
            library = self.site / "nvidia" / name[3:].partition(".")[0].lower() / "lib" / name
            library.parent.mkdir(parents=True, exist_ok=True)
            library.touch()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    made = Installed(tmp_path / "site")
    monkeypatch.syspath_prepend(made.site)
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorflow"]:
        monkeypatch.delitem(sys.modules, name)

    def nothing(name: str) -> Any:
        raise OSError(f"{name}: cannot open shared object file")

    loader = SimpleNamespace(CDLL=nothing, util=SimpleNamespace(find_library=lambda name: None))
    monkeypatch.setattr(cuda_libraries, "ctypes", loader)
    return made


CAPABILITIES = ["sm_60", "sm_89", "compute_90", "sm_100a"]


def test_a_build_is_read_without_importing_it(installed: Installed) -> None:
    installed.tells(is_cuda_build=True, cuda_version="12.5.1", cudnn_version="9",
                    cuda_compute_capabilities=CAPABILITIES)  # fmt: skip
    assert cuda_libraries.build() == Build(installed.folder, True, (12, 5), 9, (6, 0))
    installed.tells(is_cuda_build=False)
    assert cuda_libraries.build() == Build(installed.folder, with_cuda=False)
    assert gpu.missing_libraries() == []


def test_what_pip_puts_beside_tensorflow_is_found(installed: Installed) -> None:
    installed.tells(is_cuda_build=True, cuda_version="12.5.1", cudnn_version="9")
    installed.beside(*CUDA_12[:-1])
    assert gpu.missing_libraries() == ["libcudnn.so.9"]
    installed.beside(CUDA_12[-1])
    assert gpu.missing_libraries() == []


def test_what_is_beside_tensorflow_is_opened_for_it(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    loader = SimpleNamespace(CDLL=lambda path: opened.append(Path(path).name))
    monkeypatch.setattr(cuda_libraries, "ctypes", loader)
    monkeypatch.setattr(cuda_driver, "is_installed", lambda: False)
    installed.tells(is_cuda_build=True, cuda_version="12.5.1", cudnn_version="9")
    installed.beside("libcusolver.so.11", "libcusolver.so.10", "libcudnn.so.9")
    cuda_libraries.open_beside()
    assert opened == []
    monkeypatch.setattr(cuda_driver, "is_installed", lambda: True)
    cuda_libraries.open_beside()
    assert opened == ["libcusolver.so.11", "libcudnn.so.9"]
    installed.tells(is_cuda_build=False)
    cuda_libraries.open_beside()
    assert len(opened) == 2


def test_another_cuda_takes_other_libraries(installed: Installed) -> None:
    installed.tells(is_cuda_build=True, cuda_version="13.0", cudnn_version="9")
    installed.beside(*CUDA_12)
    assert "libcudart.so.13" in gpu.missing_libraries()
    assert "libcusparse.so.12" not in gpu.missing_libraries()


@pytest.mark.parametrize("about", [None, "1 / 0", "build_info = {}", "build_info = 'x"])
def test_a_build_that_does_not_tell_needs_cudnn(installed: Installed, about: str | None) -> None:
    if about is not None:
        installed.about.write_text(about)
    assert cuda_libraries.build() == Build(installed.folder)
    assert gpu.missing_libraries() == ["libcudnn.so"]
    installed.beside("libcudnn.so.9")
    assert gpu.missing_libraries() == []


def test_without_tensorflow_there_is_no_build(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(installed.folder)
    monkeypatch.setattr(sys, "path", [str(installed.site)])
    assert cuda_libraries.build() is None
    assert gpu.missing_libraries() == []
