"""What follows from the facts: what is in the way of `vggfeat extract`, and what mends it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from vggfeat.doctor.facts import Facts
from vggfeat.doctor.judgement import complaint_about_gpus, fault
from vggfeat.doctor.self_test import Trial
from vggfeat.engines import gpu

ERROR = "error"  # extract will not run
WARNING = "warning"  # it will, but not as well as it could

_LEAST_MEMORY = 1_000_000_000  # what extract takes with ncnn
_LEAST_DISK = 100_000_000  # the rows of 6,000 images
_DEFAULT = "float32"


class Finding(NamedTuple):
    """Something that is not as it should be.

    Attributes:
        severity: `error` or `warning`.
        problem: a clause.
        remedy: what to do: a command, as far as there is one.
    """

    severity: str
    problem: str
    remedy: str


def conclude(facts: Facts) -> list[Finding]:
    """All that is not as it should be, errors first. Without an error, extract will run."""
    found = [*_engines(facts), *_weights(facts), *_disks(facts), *_memory(facts), *_cards(facts)]
    return sorted(found, key=lambda finding: finding.severity != ERROR)


def _engines(facts: Facts) -> Iterator[Finding]:
    for trial in facts.self_tests:
        yield from _self_test(facts, trial)
    if "ncnn" not in facts.precisions and not facts.driver.cards:
        yield Finding(
            WARNING, "ncnn, the faster engine for CPUs, is not installed", "pip install ncnn"
        )
    if facts.tensorflow_build is None:
        yield Finding(
            ERROR if facts.auto.engine == "tensorflow" else WARNING,
            "TensorFlow is not installed: freeze, finetune and --engine tensorflow take it",
            "pip install tensorflow",
        )


def _self_test(facts: Facts, trial: Trial) -> Iterator[Finding]:
    remedy = _repair(trial, facts.self_tests)
    for precision in facts.precisions[trial.engine]:
        if why := fault(trial, precision):
            needed = trial.engine == facts.auto.engine and precision == _DEFAULT
            yield Finding(ERROR if needed else WARNING, f"{trial.engine} {why}", remedy)
            if precision not in trial.precisions:  # nor is any after it: once is enough
                break
    for precision, computed in trial.precisions.items():
        if computed.same_bits is False:
            yield Finding(
                WARNING,
                f"{trial.engine} gives an image other bits alone than in a batch, in {precision}",
                "for rows that never change in their last digits: --engine ncnn",
            )
    notes = [note for computed in trial.precisions.values() for note in computed.notes]
    for note in dict.fromkeys(notes):
        yield Finding(WARNING, note, "extract goes on all the same")


def _repair(trial: Trial, trials: list[Trial]) -> str:
    again = f"pip install --force-reinstall {trial.engine}"
    if trial.ended and "still running" in trial.ended:
        again = f"try again, as a first start on a new card may take minutes, else {again}"
    passed = (other.engine for other in trials if fault(other, _DEFAULT) is None)
    other = next((name for name in passed if name != trial.engine), None)
    return f"{again}; until then: --engine {other}" if other else again


def _weights(facts: Facts) -> Iterator[Finding]:
    weights = facts.weights
    if weights.problem:
        yield Finding(ERROR, weights.problem, "vggfeat weights list shows what there is")
    if not weights.fetched:
        return
    store = next(disk for disk in facts.disks if disk.what == "store")
    elsewhere = "set VGGFEAT_STORE to a folder elsewhere"
    if not store.writable:
        yield Finding(ERROR, f"the store {store.folder} cannot be written", elsewhere)
    elif store.free is not None and store.free < weights.needed:
        yield Finding(
            ERROR,
            f"the weights {weights.taken} are not here, and the store's disk has "
            f"{in_words(store.free)} free where fetching them takes {in_words(weights.needed)}",
            f"make room, or {elsewhere}",
        )


def _disks(facts: Facts) -> Iterator[Finding]:
    for disk in facts.disks:
        name = f"the {disk.what} folder {disk.folder or ''}".strip()
        if disk.what == "store":
            continue
        if disk.problem:
            yield Finding(WARNING, f"{name}: {disk.problem}", "go to another folder")
        elif disk.free is not None and disk.free < _LEAST_DISK:
            yield Finding(WARNING, f"{name} has only {in_words(disk.free)} free", "make room")


def _memory(facts: Facts) -> Iterator[Finding]:
    memory = facts.machine.memory
    if memory.free is not None and memory.free < _LEAST_MEMORY:
        yield Finding(
            WARNING,
            f"{in_words(memory.free)} of memory are free, and extract takes some "
            f"{in_words(_LEAST_MEMORY)}",
            "raise the container's limit" if memory.limited else "end other programs",
        )


def _cards(facts: Facts) -> Iterator[Finding]:
    driver, hidden = facts.driver, facts.visible_devices is not None
    if driver.cards:
        yield from _unused_cards(facts)
    elif driver.error:
        yield Finding(
            WARNING,
            f"NVIDIA's driver shows no card: {driver.error}",
            "nvidia-smi tells more; after an update of the driver, restart the machine",
        )
    elif driver.found and hidden:
        yield Finding(
            WARNING,
            f"with CUDA_VISIBLE_DEVICES={facts.visible_devices} NVIDIA's driver shows no card",
            "unset CUDA_VISIBLE_DEVICES",
        )
    elif not driver.found:
        yield from _unreachable_cards(facts)


def _unused_cards(facts: Facts) -> Iterator[Finding]:
    missing = facts.missing_libraries or []
    hindrance = gpu.hindrance(facts.driver, facts.tensorflow_build, missing)
    trial = facts.self_test_of("tensorflow")
    if hindrance:
        yield Finding(WARNING, f"there is a GPU, but {hindrance.why}", hindrance.remedy)
    elif trial and trial.gpus is not None and len(trial.gpus) < len(facts.driver.cards):
        seen = f"{len(trial.gpus)} of {len(facts.driver.cards)} GPUs" if trial.gpus else "no GPU"
        yield Finding(
            WARNING,
            f"TensorFlow sees {seen}, for all that driver and libraries are there"
            f"{complaint_about_gpus(trial.log)}",
            "vggfeat doctor --json shows all of its log"
            + ("" if trial.gpus else "; until then --engine ncnn is faster"),
        )


def _unreachable_cards(facts: Facts) -> Iterator[Finding]:
    machine = facts.machine
    sign = machine.kernel_driver or ("on the PCI bus" if machine.cards_on_bus else None)
    if sign is None:
        return
    if machine.container:
        yield Finding(
            WARNING,
            f"the machine seems to have an NVIDIA card ({sign}) that this container was not given",
            "docker run --gpus all ..., with the NVIDIA Container Toolkit on the host",
        )
    elif machine.kernel_driver:
        yield Finding(
            WARNING,
            f"the kernel has NVIDIA's driver ({sign}), but its library libcuda.so.1 is not found",
            "install the driver's library (Debian: libcuda1, Ubuntu: libnvidia-compute-...)",
        )
    else:
        yield Finding(
            WARNING,
            "there is an NVIDIA card on the PCI bus, but no driver for it",
            "install NVIDIA's driver (Ubuntu: ubuntu-drivers install)",
        )


def in_words(size: int) -> str:
    """Bytes as `1.1 GB` or `553 MB`."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
