"""What follows from facts, of machines that are not at hand."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import Any

import pytest

from tests.doctor.made import (
    CARD,
    FETCHED,
    GB,
    MACHINE,
    NO_DRIVER,
    OTHERS,
    STORE,
    died,
    facts,
    trial,
    with_other,
)  # fmt: skip
from vggfeat.doctor.facts import Facts
from vggfeat.doctor.finding import ERROR, WARNING, Finding
from vggfeat.doctor.findings import conclude
from vggfeat.doctor.memory import Memory
from vggfeat.doctor.weights import WeightsFound
from vggfeat.engines.cuda_driver import Driver

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="TensorFlow has GPUs on Linux only")


def the_one(found: Facts) -> Finding:
    (finding,) = conclude(found)
    return finding


def test_a_machine_where_all_is_well_has_no_findings() -> None:
    assert conclude(facts()) == []
    assert conclude(facts(weights=FETCHED)) == []


DRIVER = Driver(found=True, cards=[CARD], cuda=(12, 4), version="550.54.15")
INSIDE = replace(MACHINE, container="Docker", kernel_driver="/proc/driver/nvidia/version")


@pytest.mark.parametrize(
    ("changed", "problem", "remedy"),
    [
        (
            {"driver": DRIVER, "missing_libraries": ["libcudnn.so.9"]},
            "does not find CUDA's libraries (libcudnn.so.9)",
            "pip install 'vggfeat[cuda]'",
        ),
        (
            {"driver": replace(DRIVER, cuda=(11, 8))},
            "its driver supports CUDA 11.8",
            "newer driver",
        ),
        (
            {"driver": Driver(found=True, cards=[], error="CUDA_ERROR_UNKNOWN")},
            "shows no card: CUDA_ERROR_UNKNOWN",
            "nvidia-smi",
        ),
        (
            {"driver": Driver(found=True, cards=[]), "visible_devices": "7"},
            "with CUDA_VISIBLE_DEVICES=7 NVIDIA's driver shows no card",
            "unset CUDA_VISIBLE_DEVICES",
        ),
        (
            {"machine": INSIDE},
            "(/proc/driver/nvidia/version) that this container was not given",
            "docker run --gpus all ..., with the NVIDIA Container Toolkit",
        ),
        (
            {"machine": replace(MACHINE, container="Podman", cards_on_bus=2)},
            "(on the PCI bus) that this container was not given",
            "NVIDIA Container Toolkit",
        ),
        (
            {"machine": INSIDE, "driver": Driver(found=True, cards=[])},
            "that this container was not given",
            "NVIDIA Container Toolkit",
        ),
        (
            {"machine": replace(MACHINE, cards_on_bus=1), "driver": Driver(found=True, cards=[])},
            "(on the PCI bus), but its driver shows none",
            "/dev/nvidia0",
        ),
        (
            {"machine": replace(INSIDE, container=None)},
            "its library libcuda.so.1 is not found",
            "install the driver's library",
        ),
        (
            {"machine": replace(MACHINE, cards_on_bus=1)},
            "there is an NVIDIA card on the PCI bus, but no driver",
            "install NVIDIA's driver",
        ),
    ],
)
@on_linux
def test_a_card_that_cannot_be_used_is_a_warning(
    changed: dict[str, Any], problem: str, remedy: str
) -> None:
    found = the_one(facts(**changed))
    assert found.severity == WARNING
    assert problem in found.problem
    assert remedy in found.remedy


@pytest.mark.parametrize(
    "changed",
    [
        {"driver": Driver(found=True, cards=[])},
        {"machine": replace(MACHINE, container="Docker")},
        {"driver": NO_DRIVER, "visible_devices": "0"},
    ],
    ids=["a driver without cards", "a container without signs of a card", "no driver"],
)
def test_without_a_card_nothing_is_wrong(changed: dict[str, Any]) -> None:
    assert conclude(facts(**changed)) == []


@on_linux
def test_cards_that_tensorflow_does_not_see_are_counted_with_its_reason() -> None:
    log = (
        "W0000 00:00:17.8  27 gpu_device.cc:2344] Cannot dlopen some GPU libraries.\n"
        "E0000 00:00:17.9  27 util.cc:131] oneDNN supports DT_HALF only on AVX-512.\n"
    )
    two = replace(DRIVER, cards=[CARD, replace(CARD, index=1)])
    seen_none = trial("tensorflow", gpus=[], log=log)
    found = the_one(facts(trial("ncnn"), seen_none, auto="tensorflow", driver=two))
    assert found.severity == WARNING
    assert found.problem.startswith("TensorFlow sees no GPU")
    assert found.problem.endswith("(Cannot dlopen some GPU libraries.)")
    assert "--engine ncnn" in found.remedy

    seen_one = trial("tensorflow", gpus=["H100"])
    found = the_one(facts(trial("ncnn"), seen_one, auto="tensorflow", driver=two))
    assert "TensorFlow sees 1 of 2 GPUs" in found.problem


@on_linux
def test_a_card_that_others_fill_is_told_and_an_error_where_there_is_no_other() -> None:
    full = replace(CARD, index=1, free=GB // 2)
    seen = (trial("tensorflow", gpus=["H100", "H100"]), trial("ncnn"))
    two = the_one(facts(*seen, auto="tensorflow", driver=replace(DRIVER, cards=[CARD, full])))
    assert (two.severity, two.problem[:32]) == (WARNING, "GPU 1 has 500 MB of memory free,")
    alone = the_one(facts(*seen, auto="tensorflow", driver=replace(DRIVER, cards=[full])))
    assert alone.severity == ERROR
    unknown = replace(CARD, free=None)
    assert conclude(facts(*seen, auto="tensorflow", driver=replace(DRIVER, cards=[unknown]))) == []


def test_a_device_that_fails_while_others_go_on_is_a_warning() -> None:
    note = "GPU 1 (H100) failed: fell off the bus; goes on without it, on GPU 0 (H100)"
    made = with_other(trial("tensorflow", gpus=["H100"]), "float32", notes=[note])
    found = the_one(facts(made, trial("ncnn"), auto="tensorflow", driver=DRIVER))
    assert found == Finding(WARNING, note, "extract goes on all the same")


def test_an_engine_that_auto_takes_and_that_fails_is_an_error() -> None:
    found = the_one(facts(died("ncnn", "was killed by SIGILL"), trial("tensorflow")))
    assert found.severity == ERROR
    assert found.problem == (
        "ncnn does not work: its self-test was killed by SIGILL while loading it"
    )
    assert found.remedy == "pip install --force-reinstall ncnn; until then: --engine tensorflow"


def test_the_other_engine_may_fail() -> None:
    log = "F0000 00:00:1.2  27 cuda.cc:9] Check failed: driver\nI0000 00:00:1.3  27 x.cc:1] bye\n"
    found = the_one(facts(trial("ncnn"), died("tensorflow", "was killed by SIGABRT", log)))
    assert found.severity == WARNING
    assert found.problem.endswith("while loading it (Check failed: driver)")


def test_without_an_engine_that_works_there_is_none_to_take_meanwhile() -> None:
    both = (died("ncnn", "ended with exit code 1"), died("tensorflow", "ended with exit code 1"))
    found = conclude(facts(*both))
    assert [finding.severity for finding in found] == [ERROR, WARNING]
    assert not any("--engine" in finding.remedy for finding in found)


@pytest.mark.parametrize(
    ("precision", "error", "severity"),
    [
        ("float32", 9e-6, None),
        ("float32", 1.1e-5, ERROR),
        ("tf32", 9e-3, None),
        ("tf32", 1.1e-2, WARNING),
        ("bfloat16", 4e-2, None),
        ("bfloat16", 6e-2, WARNING),
        ("float16", 9e-3, None),
        ("float16", float("inf"), WARNING),
    ],
)
def test_each_precision_has_an_error_that_is_too_much(
    precision: str, error: float, severity: str | None
) -> None:
    made = trial("tensorflow", "float32", "tf32", "bfloat16", "float16", gpus=["H100"])
    made = with_other(made, precision, error=error)
    found = conclude(facts(made, trial("ncnn"), auto="tensorflow", driver=DRIVER))
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    assert all(f"other numbers than the network in {precision}" in f.problem for f in found)


def test_bits_that_depend_on_neighbours_are_a_warning() -> None:
    made = with_other(trial("ncnn"), "float32", same_bits=False)
    found = the_one(facts(made, trial("tensorflow")))
    assert (found.severity, "other bits alone" in found.problem) == (WARNING, True)


def test_engines_that_are_not_installed_are_told() -> None:
    without_ncnn = the_one(facts(trial("tensorflow"), auto="tensorflow"))
    assert (without_ncnn.severity, without_ncnn.remedy) == (WARNING, "pip install ncnn")
    without_tensorflow = the_one(facts(trial("ncnn"), tensorflow_build=None))
    assert without_tensorflow.severity == WARNING
    assert without_tensorflow.remedy == "pip install tensorflow"


@pytest.mark.parametrize(
    ("store", "problem"),
    [
        (replace(STORE, free=GB), "the store's disk has 1.0 GB free where fetching them takes 1.1"),
        (replace(STORE, writable=False), "the store /store cannot be written"),
    ],
)
def test_weights_that_cannot_be_fetched_are_an_error_unless_they_are_here(
    store: Any, problem: str
) -> None:
    found = the_one(facts(weights=FETCHED, disks=[store, *OTHERS]))
    assert found.severity == ERROR
    assert problem in found.problem
    assert "VGGFEAT_STORE" in found.remedy
    assert conclude(facts(disks=[store, *OTHERS])) == []


def test_weights_that_cannot_be_chosen_are_an_error() -> None:
    found = the_one(facts(weights=WeightsFound(["a", "b"], problem="the store has several")))
    assert (found.severity, found.problem) == (ERROR, "the store has several")
    asked = WeightsFound([], origin="VGGFEAT_WEIGHTS", problem="x.h5: no such file")
    assert "unset VGGFEAT_WEIGHTS" in the_one(facts(weights=asked)).remedy


def test_a_full_disk_or_little_memory_is_a_warning() -> None:
    full = replace(OTHERS[1], free=5_000_000)
    found = the_one(facts(disks=[STORE, OTHERS[0], full]))
    assert (found.severity, "/here has only" in found.problem) == (WARNING, True)
    small = replace(MACHINE, memory=Memory(GB, GB // 2, limited=True))
    found = the_one(facts(machine=small))
    assert (found.severity, found.remedy) == (WARNING, "raise the container's limit")


def test_errors_come_first() -> None:
    found = conclude(facts(
        died("tensorflow", "x"), trial("ncnn"),
        weights=WeightsFound([], problem="none"), machine=replace(MACHINE, cards_on_bus=1),
    ))  # fmt: skip
    assert [finding.severity for finding in found] == [ERROR, WARNING, WARNING]
    assert all(re.search(r"\w", finding.remedy) for finding in found)
