"""All that is known of a machine before anything is concluded from it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

from vggfeat import engines
from vggfeat.doctor import choice, disks, machine, self_test, weights
from vggfeat.doctor.disks import Disk
from vggfeat.doctor.machine import Machine
from vggfeat.doctor.self_test import Trial
from vggfeat.doctor.weights import WeightsFound
from vggfeat.engines import cuda_driver, cuda_libraries, precision
from vggfeat.engines.cuda_driver import Driver
from vggfeat.engines.cuda_libraries import Build

_PACKAGES = ("vggfeat", "tensorflow", "ncnn", "numpy", "pillow")


@dataclass(frozen=True)
class Auto:
    """What `auto` takes.

    Attributes:
        engine: its name.
        reason: why.
        batch_size: images at once; None where the engine did not come to tell it.
    """

    engine: str
    reason: str
    batch_size: int | None


@dataclass(frozen=True)
class Facts:
    """A machine.

    Attributes:
        machine: what the system tells.
        driver: what NVIDIA's driver tells.
        visible_devices: `$CUDA_VISIBLE_DEVICES`; None where it is not set.
        tensorflow_build: what TensorFlow is built for; None where it is not installed.
        missing_libraries: of CUDA, that TensorFlow would not find; None where there is no card,
            so that they are not looked for.
        auto: the engine that extract takes.
        precisions: that are possible, by engine.
        self_tests: of the engines that are installed.
        weights: that extract would take.
        disks: where vggfeat writes.
        versions: by package; None where one is not installed.
    """

    machine: Machine
    driver: Driver
    visible_devices: str | None
    tensorflow_build: Build | None
    missing_libraries: list[str] | None
    auto: Auto
    precisions: dict[str, list[str]]
    self_tests: list[Trial]
    weights: WeightsFound
    disks: list[Disk]
    versions: dict[str, str | None]

    def self_test_of(self, engine: str) -> Trial | None:
        return next((trial for trial in self.self_tests if trial.engine == engine), None)


def collect(on_step: Callable[[str], None]) -> Facts:
    """Look at everything, and test the engines; some seconds.

    Args:
        on_step: told what is done next, which may take its time or never end.
    """
    on_step("asking NVIDIA's driver")
    driver, build = cuda_driver.ask(), cuda_libraries.build()
    chosen = choice.auto()
    on_step("looking at machine and weights")
    about, found, places = machine.look(), weights.look(), disks.look()
    trials = []
    possible = {engine: _possible(engine) for engine in engines.installed()}
    for engine, precisions in possible.items():
        on_step(f"testing {engine}")
        trials.append(self_test.run(engine, precisions, self_test.PATIENCE))
    return Facts(
        machine=about,
        driver=driver,
        visible_devices=os.environ.get("CUDA_VISIBLE_DEVICES"),
        tensorflow_build=build,
        missing_libraries=cuda_libraries.missing(build) if build and driver.cards else None,
        auto=Auto(*chosen, _batch_size(chosen.engine, driver, trials)),
        precisions=possible,
        self_tests=trials,
        weights=found,
        disks=places,
        versions={name: _version(name) for name in _PACKAGES},
    )


def _possible(engine: str) -> list[str]:
    """The precisions, in the order of the self-test."""
    return sorted(precision.possible(engine), key=lambda name: name == precision.TF32)


def _batch_size(engine: str, driver: Driver, trials: list[Trial]) -> int | None:
    """On processors it is the same for narrow networks; on cards it follows from the memory."""
    trial = next((trial for trial in trials if trial.engine == engine), None)
    if engine == "tensorflow" and trial and trial.gpus:
        return choice.batch_on_cards(driver.cards)
    return trial.batch_size if trial else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
