"""What follows from the facts: what is in the way of `vggfeat extract`, and what mends it."""

from __future__ import annotations

from collections.abc import Iterator

from vggfeat.doctor import cards
from vggfeat.doctor.facts import Facts
from vggfeat.doctor.finding import ERROR, WARNING, Finding, in_words
from vggfeat.doctor.judgement import fault
from vggfeat.doctor.self_test import Trial

_LEAST_MEMORY = 1_000_000_000  # what extract takes with ncnn
_LEAST_DISK = 100_000_000  # the rows of 6,000 images
_DEFAULT = "float32"


def conclude(facts: Facts) -> list[Finding]:
    """All that is not as it should be, errors first. Without an error, extract will run."""
    found = [
        *_engines(facts),
        *_weights(facts),
        *_disks(facts),
        *_memory(facts),
        *cards.conclude(facts),
    ]
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
        remedy = "vggfeat weights list shows what there is"
        if weights.origin == "VGGFEAT_WEIGHTS":
            remedy = f"change or unset VGGFEAT_WEIGHTS; {remedy}"
        yield Finding(ERROR, weights.problem, remedy)
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
