"""The network alone: crops that are ready, batches of 16, all ways in turn."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

import numpy as np

from tests.benchmarks import machine
from tests.benchmarks.folder import Folder
from tests.benchmarks.plan import Plan
from tests.benchmarks.process import FailedError, Program
from tests.benchmarks.reference import reference_file, relative_error
from tests.benchmarks.results import Row, Table
from tests.benchmarks.ways import Way

# What all ways take together, the largest while it loads; with less, each is loaded anew for
# every round: the same figures, later.
ALL_TOGETHER = 16e9
_REST = 0.3  # seconds, for the threads of the one before to fall asleep


def measure(ways: Sequence[Way], folder: Folder, plan: Plan) -> Table:
    together = machine.available_memory() > ALL_TOGETHER
    rows = {way.name: Row(way.name, way.label) for way in ways}
    running: dict[str, Program] = {}
    for number in range(1, plan.network_rounds + 1):
        for way in ways:
            row = rows[way.name]
            if row.failed:
                continue
            try:
                if way.name not in running:
                    running[way.name], row.error = _start(way, folder, plan)
                time.sleep(_REST)
                answer = running[way.name].answer("round")
                row.rates.append(answer["images"] / answer["seconds"])
                print(
                    f"network alone, round {number} of {plan.network_rounds}: {way.label}: "
                    f"{row.rates[-1]:.2f} images/s",
                    flush=True,
                )
                if not together:
                    running.pop(way.name).wait()
            except FailedError as error:
                running.pop(way.name, None)
                row.failed = str(error)
                print(f"network alone: {way.label}: {error}", flush=True)
    for program in running.values():
        with contextlib.suppress(FailedError):
            program.wait()
    return Table(list(rows.values()))


def _start(way: Way, folder: Folder, plan: Plan) -> tuple[Program, float]:
    """The program, warmed up by one batch, and the error of what that gave."""
    output = folder.fresh_output(f"network {way.name}")
    program = Program(way.network(folder, output, plan.network_batches))
    program.answer()
    expected = np.load(reference_file(folder.crops))
    return program, relative_error(np.load(output)[: len(expected)], expected)
