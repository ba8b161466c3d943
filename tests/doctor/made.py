"""Facts of machines that are not at hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from vggfeat.doctor.disks import Disk
from vggfeat.doctor.facts import Auto, Facts
from vggfeat.doctor.machine import Machine
from vggfeat.doctor.memory import Memory
from vggfeat.doctor.self_test import Computed, Trial
from vggfeat.doctor.weights import WeightsFound
from vggfeat.engines.cuda_driver import Card, Driver
from vggfeat.engines.cuda_libraries import Build

GB = 1_000_000_000
CARD = Card(0, "H100", 80 * GB, 70 * GB, (9, 0), "GPU-1")
NO_DRIVER = Driver(found=False, cards=[])
MACHINE = Machine("Linux", "3.12.1", "EPYC", 8, 16, Memory(64 * GB, 32 * GB), None, None, 0)
STORE = Disk("store", "/store", 50 * GB, writable=True)
OTHERS = [Disk("temporary", "/tmp", 9 * GB, True), Disk("current", "/here", 9 * GB, True)]
FETCHED = WeightsFound([], "keras", "default", "network", 553_000_000, 1_106_000_000)


def trial(engine: str, *precisions: str, **other: Any) -> Trial:
    """One that passed in these precisions."""
    passed = {name: Computed(1e-7, True, 0.1, ["CPU"]) for name in precisions or ("float32",)}
    return Trial(engine, None, None, 1.0, "1.0", precisions=passed, **other)


def with_other(made: Trial, precision: str, **changed: Any) -> Trial:
    """The trial, with something else about one precision."""
    other = replace(made.precisions[precision], **changed)
    return replace(made, precisions={**made.precisions, precision: other})


def died(engine: str, how: str, log: str = "") -> Trial:
    return Trial(engine, how, "loading it", 1.0, log=log)


def facts(*trials: Trial, auto: str = "ncnn", **changed: Any) -> Facts:
    """A machine of 8 processors where all is well, but for what is changed."""
    trials = trials or (trial("ncnn"), trial("tensorflow", gpus=[]))
    healthy = Facts(
        machine=MACHINE,
        driver=NO_DRIVER,
        visible_devices=None,
        tensorflow_build=Build(Path("/tf"), with_cuda=True, cuda=(12, 5), cudnn=9),
        missing_libraries=[],
        auto=Auto(auto, "there is no GPU", 32),
        precisions={made.engine: list(made.precisions) or ["float32"] for made in trials},
        self_tests=list(trials),
        weights=WeightsFound(["keras"], "keras", "store", "store"),
        disks=[STORE, *OTHERS],
        versions={"vggfeat": "1.0"},
    )
    return replace(healthy, **changed)
