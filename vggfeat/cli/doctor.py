"""`vggfeat doctor`: what the machine has, and whether extract will run on it."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from vggfeat.cli.options import verbose_option

if TYPE_CHECKING:
    from vggfeat.doctor.facts import Facts
    from vggfeat.doctor.report import Report
    from vggfeat.doctor.self_test import Trial

EPILOG = """\b
Exit codes:
  0  vggfeat extract will run here, be it on a GPU or on the processors
  1  it will not: the lines 'error' say why, and what to do
"""

_WHERE = {
    "store": "in the store",
    "cache": "in the cache of another program",
    "file": "a file",
    "made": "made anew",
    "network": "not here yet",
}
_DISKS = {"store": "store", "temporary": "temporary", "current": "this folder"}

Line = tuple[str, str]


@click.command(epilog=EPILOG, short_help="Say what this machine has, and whether extract will run.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@verbose_option
def doctor(as_json: bool) -> int:
    """Say what this machine has, GPUs above all, which engine extract takes and why, and what is
    missing, with the command that installs it.

    Every engine computes one batch, which is compared with plain NumPy. Takes some 10 seconds;
    nothing is fetched or changed.
    """
    from vggfeat.doctor.report import examine

    try:
        report = examine(_show_step)
    finally:
        _show_step("")
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2, default=str))
    else:
        for label, text in _lines(report):
            click.echo(_set(label, text))
    return report.exit_code


def _show_step(step: str) -> None:
    """What is done at the moment, on a terminal, where the next step takes its place."""
    if sys.stderr is not None and sys.stderr.isatty():
        text = f"vggfeat: {step} ..." if step else ""
        click.echo(f"\r\x1b[K{text}", err=True, nl=False)


def _set(label: str, text: str) -> str:
    """The label and the text beside it: in lines of its own width on a terminal, else in one."""
    if sys.stdout is None or not sys.stdout.isatty():
        return f"{label:<12} {text}".rstrip()
    width = max(40, shutil.get_terminal_size().columns - 13)
    parts = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
    return "\n".join(
        f"{name:<12} {part}".rstrip()
        for name, part in zip([label, *[""] * len(parts)], parts, strict=False)
    )


def _lines(report: Report) -> Iterator[Line]:
    facts = report.facts
    yield from _machine(facts)
    yield from _cards(facts)
    yield from _engines(facts)
    yield from _files(facts)
    yield "versions", ", ".join(f"{name} {v or 'none'}" for name, v in facts.versions.items())
    for severity, problem, remedy in report.findings:
        yield "", ""
        yield severity, problem
        yield "", f"-> {remedy}"
    yield "", ""
    yield _verdict(report)


def _machine(facts: Facts) -> Iterator[Line]:
    machine, memory = facts.machine, facts.machine.memory
    model = f", {machine.processor}" if machine.processor else ""
    yield "processors", f"{machine.processors} of {machine.processors_there}{model}"
    limit = ", the container's limit" if memory.limited else ""
    yield "memory", f"{_of(memory.free)} free of {_of(memory.total)}{limit}"
    inside = f", in a container ({machine.container})" if machine.container else ""
    yield "system", f"{machine.system}, Python {machine.python}{inside}"


def _cards(facts: Facts) -> Iterator[Line]:
    driver = facts.driver
    if not driver.found:
        yield "GPU", "none: there is no NVIDIA driver"
        return
    cuda = f"for CUDA up to {'.'.join(map(str, driver.cuda))}" if driver.cuda else ""
    yield "GPU driver", ", ".join(filter(None, (driver.version or "NVIDIA", cuda, driver.error)))
    for card in driver.cards:
        free = f"{_of(card.free)} free of " if card.free is not None else ""
        capability = ".".join(map(str, card.capability))
        yield (
            f"GPU {card.index}",
            f"{card.name}, {free}{_of(card.total)}, compute capability {capability}",
        )
    if not driver.cards:
        yield "GPU", "none that this process may use"


def _engines(facts: Facts) -> Iterator[Line]:
    for trial in facts.self_tests:
        yield trial.engine, ", ".join(_engine(facts, trial))
    if facts.missing_libraries:
        yield "CUDA", f"not found: {', '.join(facts.missing_libraries)}"
    auto = facts.auto
    why = " by the free memory" if auto.engine == "tensorflow" and facts.driver.cards else ""
    batch = f", {auto.batch_size} images at once{why}" if auto.batch_size else ""
    yield "auto takes", f"{auto.engine}{batch}: {auto.reason}"


def _engine(facts: Facts, trial: Trial) -> Iterator[str]:
    """Its version, and how far it is from plain NumPy in each precision."""
    from vggfeat.doctor.judgement import fault

    yield trial.version or "version unknown"
    if trial.engine == "tensorflow" and facts.tensorflow_build is not None:
        cuda = facts.tensorflow_build.cuda
        built = f"built for CUDA {'.'.join(map(str, cuda))}" if cuda else "built without CUDA"
        yield built if cuda or facts.tensorflow_build.with_cuda is False else "build unknown"
        if trial.gpus is not None:
            models = Counter(trial.gpus)
            yield f"sees {', '.join(f'{n} x {model}' for model, n in models.items()) or 'no GPU'}"
    passed = [name for name in facts.precisions[trial.engine] if fault(trial, name) is None]
    figures = (f"{name} ({trial.precisions[name].error:.0e})" for name in passed)
    yield f"passes the self-test in {', '.join(figures)}" if passed else "fails the self-test"


def _files(facts: Facts) -> Iterator[Line]:
    weights = facts.weights
    if weights.taken is not None:
        fetched = f", fetched once ({_of(weights.fetched)})" if weights.fetched else ""
        origin = " (VGGFEAT_WEIGHTS)" if weights.origin == "VGGFEAT_WEIGHTS" else ""
        yield "weights", f"{weights.taken}{origin}, {_WHERE[str(weights.where)]}{fetched}"
    for disk in facts.disks:
        state = disk.problem or f"{_of(disk.free)} free"
        if not (disk.writable or disk.problem):
            state += ", cannot be written"
        if disk.what == "store":
            state += f"; it holds {', '.join(weights.names) or 'nothing'}"
        yield _DISKS[disk.what], f"{disk.folder or 'none'}, {state}"


def _verdict(report: Report) -> Line:
    if report.exit_code:
        return "extract", "will not run: see above"
    engine = report.facts.auto.engine
    trial = next(trial for trial in report.facts.self_tests if trial.engine == engine)
    devices = ", ".join(trial.precisions["float32"].devices)
    fetched = ", once the weights are fetched" if report.facts.weights.fetched else ""
    return "extract", f"will run, with {engine} on {devices}{fetched}"


def _of(size: int | None) -> str:
    from vggfeat.doctor.finding import in_words

    return "unknown" if size is None else in_words(size)
